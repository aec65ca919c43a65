//! What can be loaded: a storage, or an S3 server.

/// One connection that asks one thing at a time.
pub trait Target: Sized {
    /// What a file is asked for by.
    type Name: Clone;

    /// Stores a new file.
    async fn upload(&mut self, content: &[u8]) -> anyhow::Result<Self::Name>;

    /// Reads a file, drops its content in the kernel, and returns its length: what the client saves is left to the server.
    async fn drain(&mut self, name: &Self::Name) -> anyhow::Result<u64>;

    /// Reads a file, hands each piece of it to `piece` with where it begins, and returns its length.
    async fn download(&mut self, name: &Self::Name, piece: impl FnMut(u64, &[u8])) -> anyhow::Result<u64>;

    /// Asks for a file's size.
    async fn info(&mut self, name: &Self::Name) -> anyhow::Result<u64>;

    /// Removes a file.
    async fn delete(&mut self, name: &Self::Name) -> anyhow::Result<()>;

    /// Reads the next page of a list of all files, then begins again; how many names it had.
    async fn list(&mut self) -> anyhow::Result<u64>;
}
