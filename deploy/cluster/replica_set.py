"""Makes the replica set and, if the cluster has TLS, MongoDB's users. Safe to repeat. Needs pymongo.

python3 replica_set.py FOLDER HOST:PORT...
"""

import json
import sys
from pathlib import Path

import pymongo
from pymongo.errors import OperationFailure

UNAUTHORIZED, ALREADY_INITIALIZED, ROLE_EXISTS, USER_EXISTS = 13, 23, 51002, 51003

folder, members = Path(sys.argv[1]), sys.argv[2:]
has_tls = (folder / "tls").exists()


def connect(member, **login):
    options = {"directConnection": True, "serverSelectionTimeoutMS": 2000, **login}
    if has_tls:
        ca, own = str(folder / "tls/ca.pem"), str(folder / "tls/root.both.pem")
        options.update(tls=True, tlsCAFile=ca, tlsCertificateKeyFile=own)
    return pymongo.MongoClient("mongodb://" + member, **options)


def run(database, command, *expected):
    try:
        database.command(command)
    except OperationFailure as error:
        if error.code not in expected:
            raise


first = connect(members[0])
config = {"_id": "rs0", "members": [{"_id": n, "host": member} for n, member in enumerate(members)]}
# Once there are users, MongoDB takes nothing from a connection without a login.
run(first.admin, {"replSetInitiate": config}, ALREADY_INITIALIZED, UNAUTHORIZED)
primary = first.admin.command("isMaster").get("primary") or sys.exit("there is no primary yet")
if has_tls:
    secret = {name: (folder / "secrets" / name).read_text() for name in ("mongo-root", "mongo-archiver")}
    root = {"createUser": "root", "pwd": secret["mongo-root"], "roles": ["root"]}
    run(connect(primary).admin, root, UNAUTHORIZED, USER_EXISTS)
    chatting = connect(primary, username="root", password=secret["mongo-root"]).chatting
    role = Path(__file__).parent.parent / "mongodb/archiver-role.json"
    run(chatting, json.loads(role.read_text()), ROLE_EXISTS)
    archiver = {"createUser": "archiver", "pwd": secret["mongo-archiver"], "roles": ["chattingArchiver"]}
    run(chatting, archiver, USER_EXISTS)
