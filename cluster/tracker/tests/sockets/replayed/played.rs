//! Trackers and storages that answer what they answered in the recording.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fdfs_proto::{Command, Header, Status};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::recorded::Exchange;
use crate::support::eventually;

/// Everybody who is played.
pub(super) struct Cast<'a> {
    /// The address of our tracker, which asks them.
    ours: &'a str,
    recorded: &'a [Exchange],
    scenario: String,
    actors: HashMap<&'static str, Actor>,
}

/// One that answers each command with what it answered in turn, the last answer again and again.
struct Actor {
    part: Arc<Part>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Part {
    answers: Mutex<HashMap<Command, VecDeque<Vec<u8>>>>,
    /// Whether another leader is agreed to.
    agrees: Mutex<bool>,
    asked: Mutex<HashMap<Command, u32>>,
    /// Taken while nobody shall be answered.
    silence: tokio::sync::Mutex<()>,
}

impl<'a> Cast<'a> {
    pub(super) fn new(ours: &'a str, recorded: &'a [Exchange]) -> Self {
        Self { ours, recorded, scenario: String::new(), actors: HashMap::new() }
    }

    /// From now on everybody answers as in this scenario.
    pub(super) fn begin(&mut self, scenario: &str) {
        scenario.clone_into(&mut self.scenario);
        let addresses: Vec<_> = self.actors.keys().copied().collect();
        for address in addresses {
            self.learn(address);
        }
    }

    /// Somebody is there.
    pub(super) async fn start(&mut self, address: &'static str) {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let part = Arc::new(Part::default());
        let player = Arc::clone(&part);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(play(stream, Arc::clone(&player)));
            }
        });
        self.actors.insert(address, Actor { part, task });
        self.learn(address);
    }

    /// Somebody is there no more.
    pub(super) fn stop(&mut self, address: &str) {
        drop(self.actors.remove(address).expect("it is there"));
    }

    /// Whether the others agree when our tracker wants to lead.
    pub(super) fn agree(&self, agrees: bool) {
        self.actors.values().for_each(|actor| *actor.part.agrees.lock() = agrees);
    }

    /// What somebody says first, as bytes: the command that is answered, and the answer.
    pub(super) fn says(&self, address: &str, mut said: Vec<u8>) {
        let command = Command(said.remove(0));
        self.actors[address].part.answers.lock().entry(command).or_default().push_front(said);
    }

    /// Waits until our tracker has asked this.
    pub(super) async fn until_asked(&self, address: &str, command: Command) {
        let part = &self.actors[address].part;
        let asked = async || part.asked.lock().contains_key(&command).then_some(());
        eventually("our tracker asks", asked).await;
    }

    /// Does something again and again until our tracker asks somebody, who does not answer while it is done.
    pub(super) async fn until_asked_while(&self, address: &str, mut act: impl FnMut()) {
        let part = &self.actors[address].part;
        let count = || part.asked.lock().values().sum::<u32>();
        let before = count();
        eventually("our tracker asks", async || {
            let _silence = part.silence.lock().await;
            let is_asked = count() > before;
            if !is_asked {
                act();
            }
            is_asked.then_some(())
        })
        .await;
    }

    fn learn(&self, address: &str) {
        let mut learnt: HashMap<Command, VecDeque<Vec<u8>>> = HashMap::new();
        for exchange in self.recorded {
            let is_asked = exchange.to.ends_with(&format!(" {address}")) && exchange.sender() == self.ours;
            if let (true, true, Some(answer)) =
                (is_asked, exchange.scenario() == self.scenario, &exchange.response_hex)
            {
                let answer = hex::decode(answer).expect("hex");
                learnt.entry(exchange.command()).or_default().push_back(answer);
            }
        }
        self.actors[address].part.answers.lock().extend(learnt);
    }
}

impl Part {
    fn answer(&self, command: Command) -> Vec<u8> {
        let refused = Header::answer(Status::EINVAL).encode().to_vec();
        let agreed = Header::answer(Status::OK).encode().to_vec();
        if matches!(command, Command::NOTIFY_NEXT_LEADER | Command::COMMIT_NEXT_LEADER) {
            return if *self.agrees.lock() { agreed } else { refused };
        }
        match self.answers.lock().get_mut(&command) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap_or(refused),
            Some(answers) => answers.front().cloned().unwrap_or(refused),
            None if matches!(command, Command::TRACKER_JOIN_LEADER | Command::TRACKER_PING_LEADER) => agreed,
            None => refused,
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: TcpStream, part: Arc<Part>) {
    let mut header = [0; Header::LEN];
    while stream.read_exact(&mut header).await.is_ok() {
        let header = Header::decode(&header).expect("a tracker sends good headers");
        let mut body = vec![0; usize::try_from(header.length).expect("a short request")];
        stream.read_exact(&mut body).await.expect("a whole request");
        *part.asked.lock().entry(header.command).or_default() += 1;
        let answer = {
            let _silence = part.silence.lock().await;
            part.answer(header.command)
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}
