"""The API that fastdfs-client and py3Fdfs have in common (both descend from fdfs_client-py).

File IDs go back to a client as it gave them: bytes in one, text in the other.
"""

from python_steps import Steps, content, read, refused, same


def drive(make_client, group):
    """Calls every method of the client. `group` is the name of the only group."""
    client = None

    def renew():
        nonlocal client
        client = make_client()

    step = Steps(before=renew)
    small, big = content("small", 11), content("big", 1_048_593)
    metadata = {"width": "1024", "author": "tests"}

    def file_id(answer):
        return answer["Remote file_id"]

    def stored(remote, expected):
        same(bytes(client.download_to_buffer(remote)["Content"]), expected)

    def upload(data=small):
        return file_id(client.upload_by_buffer(data, file_ext_name="txt"))

    def appender(data=small):
        return file_id(client.upload_appender_by_buffer(data, file_ext_name="log"))

    def found(remote):
        return {text(name): text(value) for name, value in client.get_meta_data(remote).items()}

    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    # Uploads.
    @step("upload_by_filename")
    def _():
        for data in (small, big):
            remote = file_id(client.upload_by_filename(step.file("plain.jpg", data)))
            same(text(remote).split("/")[0], group)
            same(text(remote)[-4:], ".jpg")
            stored(remote, data)

    @step("upload_by_filename with metadata")
    def _():
        remote = file_id(client.upload_by_filename(step.file("meta.jpg", small), metadata))
        same(found(remote), metadata)

    @step("upload_by_file", limit=3)  # py3Fdfs hangs here
    def _():
        stored(file_id(client.upload_by_file(step.file("file.jpg", big))), big)

    @step("upload_by_buffer")
    def _():
        for data in (small, big):
            remote = file_id(client.upload_by_buffer(data, file_ext_name="txt"))
            same(text(remote)[-4:], ".txt")
            stored(remote, data)

    @step("upload_by_buffer without extension")
    def _():
        stored(file_id(client.upload_by_buffer(small)), small)

    @step("upload_by_buffer with metadata")
    def _():
        same(found(file_id(client.upload_by_buffer(small, file_ext_name="txt", meta_dict=metadata))), metadata)

    # Slaves.
    @step("upload_slave_by_filename")
    def _():
        master = upload()
        answer = client.upload_slave_by_filename(step.file("slave.jpg", big), master, "_big")
        same(text(file_id(answer)), text(master)[:-4] + "_big.jpg")
        stored(file_id(answer), big)

    @step("upload_slave_by_file", limit=3)  # py3Fdfs hangs here
    def _():
        master = upload()
        answer = client.upload_slave_by_file(step.file("slave.jpg", small), master, "_small")
        stored(file_id(answer), small)

    @step("upload_slave_by_buffer")
    def _():
        master = upload()
        stored(file_id(client.upload_slave_by_buffer(small, master, file_ext_name="jpg")), small)

    # Downloads.
    @step("download_to_file")
    def _():
        target = step.path("downloaded")
        client.download_to_file(target, upload())
        same(read(target), small)

    @step("download_to_file 1 MiB")
    def _():
        target = step.path("downloaded")
        client.download_to_file(target, upload(big))
        same(read(target), big)

    @step("download_to_file range")
    def _():
        target = step.path("downloaded-range")
        client.download_to_file(target, upload(big), offset=1000, down_bytes=5000)
        same(read(target), big[1000:6000])

    @step("download_to_buffer")
    def _():
        stored(upload(big), big)

    @step("download_to_buffer range")
    def _():
        answer = client.download_to_buffer(upload(big), offset=1000, down_bytes=5000)
        same(bytes(answer["Content"]), big[1000:6000])

    @step("download of a missing file is refused")
    def _():
        remote = upload()
        client.delete_file(remote)
        refused(lambda: client.download_to_buffer(remote))

    # Metadata.
    @step("set_meta_data overwrite")
    def _():
        remote = upload()
        client.set_meta_data(remote, {"old": "1"})
        client.set_meta_data(remote, metadata)
        same(found(remote), metadata)

    @step("set_meta_data merge")
    def _():
        remote = upload()
        client.set_meta_data(remote, metadata)
        client.set_meta_data(remote, {"width": "2048", "lens": "50mm"}, "M")
        same(found(remote), {"width": "2048", "author": "tests", "lens": "50mm"})

    @step("get_meta_data of a file without any is refused")
    def _():
        remote = upload()
        refused(lambda: client.get_meta_data(remote))

    # Appenders.
    @step("upload_appender_by_filename")
    def _():
        stored(file_id(client.upload_appender_by_filename(step.file("a.log", big))), big)

    @step("upload_appender_by_file", limit=3)  # py3Fdfs hangs here
    def _():
        stored(file_id(client.upload_appender_by_file(step.file("a.log", small))), small)

    @step("upload_appender_by_buffer")
    def _():
        stored(appender(big), big)

    @step("append_by_filename")
    def _():
        remote = appender()
        client.append_by_filename(step.file("more", big), remote)
        stored(remote, small + big)

    @step("append_by_file", limit=3)  # py3Fdfs hangs here
    def _():
        remote = appender()
        client.append_by_file(step.file("more", small), remote)
        stored(remote, small + small)

    @step("append_by_buffer")
    def _():
        remote = appender()
        client.append_by_buffer(big, remote)
        client.append_by_buffer(small, remote)
        stored(remote, small + big + small)

    @step("append to a plain file is refused")
    def _():
        remote = upload()
        refused(lambda: client.append_by_buffer(small, remote))
        stored(remote, small)

    @step("truncate_file")
    def _():
        remote = appender(big)
        client.truncate_file(1234, remote)
        stored(remote, big[:1234])

    @step("modify_by_filename")
    def _():
        remote = appender(big)
        client.modify_by_filename(step.file("new", small), remote)
        stored(remote, small + big[len(small):])

    @step("modify_by_file", limit=3)  # py3Fdfs hangs here
    def _():
        remote = appender(big)
        client.modify_by_file(step.file("new", small), remote)
        stored(remote, small + big[len(small):])

    @step("modify_by_buffer")
    def _():
        remote = appender(big)
        client.modify_by_buffer(small, remote)
        stored(remote, small + big[len(small):])

    @step("modify_by_buffer at an offset")
    def _():
        remote = appender(big)
        client.modify_by_buffer(small, remote, 100)
        stored(remote, big[:100] + small + big[100 + len(small):])

    # Lists.
    @step("list_one_group")
    def _():
        same(text(client.list_one_group(group.encode()).group_name).strip("\0"), group)

    @step("list_all_groups")
    def _():
        same([text(one.group_name).strip("\0") for one in client.list_all_groups()["Groups"]], [group])

    @step("list_servers")
    def _():
        same(len(client.list_servers(group.encode())["Servers"]), 1)

    # Deletion.
    @step("delete_file")
    def _():
        remote = upload(big)
        client.delete_file(remote)
        refused(lambda: client.delete_file(remote))
