"""nats-py, with the commands of drive.mjs. The file is not named after the package, which it would hide.

    python3 -m venv venv
    venv/bin/pip install --require-hashes -r requirements.txt
    venv/bin/python client.py URL COMMAND …
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import nats
from nats.errors import NoRespondersError
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BucketNotFoundError, NoStreamResponseError, NotFoundError


class Hang(Exception):
    """A read that the client itself would wait for without end."""


def out(answer):
    print(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), flush=True)


def reason(error):
    """The same words for the same error as the JavaScript clients print."""
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    if isinstance(error, (NoRespondersError, NoStreamResponseError)):
        return "no responders"
    return str(error) or repr(error)


async def within(seconds, read):
    """Gives up on a read after a while. The error of `wait_for` would be the same as the client's own timeouts."""
    task = asyncio.ensure_future(read)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        raise Hang(f"hang: no answer within {seconds} s")
    return task.result()


async def bind_or_create(js, bind, **settings):
    """Opens a bucket as nats.js does: what is there is taken as it is, else it is made with these settings.

    The client's own `create_key_value` is passed by, because it asks for `deny_delete` and message TTLs and leaves
    `allow_direct` out. Two clients that make a bucket at the same moment succeed only if they ask for the same.
    """
    try:
        return await bind()
    except BucketNotFoundError:
        common = dict(storage=StorageType.FILE, discard=DiscardPolicy.NEW, allow_rollup_hdrs=True, allow_direct=True)
        await js.add_stream(StreamConfig(**common, **settings))
        return await bind()


async def objects(nc):
    js = nc.jetstream()
    return await bind_or_create(
        js,
        lambda: js.object_store("supercheck"),
        name="OBJ_supercheck",
        subjects=["$O.supercheck.C.>", "$O.supercheck.M.>"],
        max_age=30,
    )


async def values(nc):
    js = nc.jetstream()
    return await bind_or_create(
        js,
        lambda: js.key_value("supercheck_kv"),
        name="KV_supercheck_kv",
        subjects=["$KV.supercheck_kv.>"],
        max_age=86_400,
        max_msgs_per_subject=1,
    )


async def blob(bucket, name):
    """The object's bytes, whose digest `get` has compared with the one in the meta, or None."""
    try:
        return (await bucket.get(name)).data
    except NotFoundError:
        return None


async def ask(nc, subject, body, id=None, timeout_ms=None):
    """One core request. A refusal of a NATS service is an answer, told by its two headers, and not an error."""
    headers = {"Nats-Msg-Id": id} if id else None
    reply = await nc.request(subject, body.encode(), timeout=(timeout_ms or 10_000) / 1_000, headers=headers)
    headers = reply.headers or {}
    code = headers.get("Nats-Service-Error-Code")
    return {"body": reply.data.decode(), "code": code and int(code), "error": headers.get("Nats-Service-Error")}


async def put(nc, subject, body, id=None, timeout_ms=None):
    """One JetStream publish and its acknowledgement."""
    headers = {"Nats-Msg-Id": id} if id else None
    timeout = (timeout_ms or 5_000) / 1_000
    ack = await nc.jetstream().publish(subject, body.encode(), timeout=timeout, headers=headers)
    return {"stream": ack.stream, "seq": ack.seq, "duplicate": bool(ack.duplicate)}


async def open_both(nc):
    await objects(nc)
    await values(nc)
    out({"opened": True})


async def get_object(nc, name):
    data = await within(5, blob(await objects(nc), name))
    out(None if data is None else data.decode())


async def put_object(nc, name, content):
    await (await objects(nc)).put(name, content.encode())
    out({"put": True})


async def get_kv(nc, key):
    try:
        entry = await (await values(nc)).get(key)
        out((entry.value or b"").decode())  # The client says None for an empty value.
    except NotFoundError:
        out(None)


async def put_kv(nc, key, content):
    await (await values(nc)).put(key, content.encode())
    out({"put": True})


async def hammer(nc, name, seconds):
    bucket = await objects(nc)
    tally = {"reads": 0, "absent": 0, "errors": [], "hangs": 0}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            data = await within(2, blob(bucket, name))
            tally["absent" if data is None else "reads"] += 1
        except Hang:
            tally["hangs"] += 1
        except Exception as error:
            if len(tally["errors"]) < 5:
                tally["errors"].append(reason(error))
    out(tally)


async def observe(nc, checks, pause):
    kv, bucket = await values(nc), await objects(nc)
    while True:
        for check, url in json.loads(checks):
            seen = {"check": check, "from": int(time.time() * 1_000), "summary": None, "report": None, "error": None}
            try:
                entry = await within(2, kv.get(check))
                seen["summary"] = json.loads(entry.value) if entry.value else None
                data = await within(2, blob(bucket, url))
                seen["report"] = data and json.loads(data)
            except Exception as error:
                seen["error"] = reason(error)
            out({**seen, "to": int(time.time() * 1_000)})
        await asyncio.sleep(float(pause) / 1_000)


async def request(nc, subject, body, id=None):
    out(await ask(nc, subject, body, id))


async def requests(nc, subject):
    async def one(body, id=None, timeout_ms=None, publish=None):
        try:
            if publish:
                answer = await put(nc, publish, body, id, timeout_ms)
            else:
                answer = await ask(nc, subject, body, id, timeout_ms)
        except Exception as error:
            answer = {"body": None, "code": None, "error": reason(error)}
        out({"id": id, "publish": publish, **answer})

    # A thread reads the lines, so that answers are taken and printed while stdin is still open.
    asked = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked.append(asyncio.create_task(one(**json.loads(line))))
    await asyncio.gather(*asked)


async def publish(nc, subject, body, id=None):
    out(await put(nc, subject, body, id))


COMMANDS = {
    "open": open_both,
    "get-object": get_object,
    "put-object": put_object,
    "get-kv": get_kv,
    "put-kv": put_kv,
    "hammer": hammer,
    "observe": observe,
    "request": request,
    "requests": requests,
    "publish": publish,
}


async def complain(error):
    """Takes the place of the client's own callback, which prints a stack for every attempt to connect."""
    print(reason(error), file=sys.stderr)


def options(url):
    """A user that the URL names is one of deploy/nats, whose replies come to an inbox of its own."""
    named = urlsplit(url)
    if not named.username:
        return {}
    # Not as a part of the URL, which it would forget at another server of a cluster.
    return {"user": named.username, "password": named.password, "inbox_prefix": f"_INBOX_{named.username}"}


async def main(url, command, *args):
    run = COMMANDS.get(command)
    if run is None:
        raise ValueError(f"no such command: {command}")
    # The client would try for two minutes to reach a server that is not there; nats.js gives up at once.
    nc = await asyncio.wait_for(nats.connect(url, error_cb=complain, **options(url)), 5)
    await run(nc, *args)
    await nc.close()


try:
    asyncio.run(main(*sys.argv[1:]))
except Exception as error:
    sys.exit(reason(error))
