// What replica_set.py does, for mongosh. HERE is the folder of this file.
//
//   HERE=… FOLDER=… MEMBERS="HOST:PORT …" mongosh --quiet --nodb --file replica_set.js

const { existsSync, readFileSync } = require("fs");
const { HERE, FOLDER, MEMBERS } = process.env;
const members = MEMBERS.split(" ");
const hasTls = existsSync(`${FOLDER}/tls`);

const admin = (member, login = "") => {
  const tls = `&tls=true&tlsCAFile=${FOLDER}/tls/ca.pem&tlsCertificateKeyFile=${FOLDER}/tls/root.both.pem`;
  const options = `directConnection=true&serverSelectionTimeoutMS=2000${hasTls ? tls : ""}`;
  return new Mongo(`mongodb://${login}${member}/?${options}`).getDB("admin");
};

const run = (database, command, ...expected) => {
  try {
    database.runCommand(command);
  } catch (error) {
    if (!expected.includes(error.codeName)) throw error;
  }
};

const config = { _id: "rs0", members: members.map((host, _id) => ({ _id, host })) };
// Once there are users, MongoDB takes nothing from a connection without a login.
run(admin(members[0]), { replSetInitiate: config }, "AlreadyInitialized", "Unauthorized");
const { primary } = admin(members[0]).hello();
if (!primary) throw new Error("there is no primary yet");
if (hasTls) {
  const secret = (name) => readFileSync(`${FOLDER}/secrets/${name}`, "utf8");
  const root = { createUser: "root", pwd: secret("mongo-root"), roles: ["root"] };
  // Two errors of users and roles that exist have numbers, and no names.
  run(admin(primary), root, "Unauthorized", "Location51003");
  const chatting = admin(primary, `root:${secret("mongo-root")}@`).getSiblingDB("chatting");
  run(chatting, JSON.parse(readFileSync(`${HERE}/../mongodb/archiver-role.json`, "utf8")), "Location51002");
  const archiver = { createUser: "archiver", pwd: secret("mongo-archiver"), roles: ["chattingArchiver"] };
  run(chatting, archiver, "Location51003");
}
