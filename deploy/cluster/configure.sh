# Writes what the cluster of `run` needs into its folder: certificates, secrets, a configuration for each login, and
# that of Prometheus. `run` sources it; $folder, $base, $here, $tls, $logins, $urls and $members are its own.
# shellcheck shell=bash disable=SC2154

# `authority NAME` makes an authority of certificates.
authority() {
  openssl req -x509 -config openssl.cnf -extensions authority -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj "/O=chatting-server/CN=$1" -days 3650 -keyout "$1.key" -out "$1.pem" 2>openssl.log
}

# `certificate NAME AUTHORITY` makes one for 127.0.0.1, that serves and connects.
certificate() {
  openssl req -x509 -config openssl.cnf -extensions member -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -CA "$2.pem" -CAkey "$2.key" -subj "/O=chatting-server/CN=$1" -days 397 -keyout "$1.key" -out "$1.pem" 2>openssl.log
}

certificates() (
  mkdir -p "$folder/tls"
  cd "$folder/tls" || exit
  cat >openssl.cnf <<'END'
[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[member]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
authorityKeyIdentifier = keyid
END
  trap 'cat openssl.log >&2' ERR
  # Servers of NATS know each other by certificates of an authority of their own: deploy/nats/routes.conf says why.
  authority ca
  authority routes-ca
  certificate routes routes-ca
  for name in nats mongod root "${logins[@]}"; do
    certificate "$name" ca
  done
  for name in mongod root archiver; do
    cat "$name.pem" "$name.key" >"$name.both.pem"
  done
)

# `secret NAME` makes one of 192 bits. It begins with a letter: nats-server reads a variable of digits as a number.
secret() {
  printf 's%s' "$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$folder/secrets/$1"
}

# `common LOGIN` prints what every role needs.
common() {
  local addresses
  printf '[auth]\nsecret_file = "%s"\n[nats]\n' "$folder/secrets/auth"
  if [ -n "$tls" ]; then
    printf 'urls_file = "%s"\n' "$folder/secrets/nats-$1.urls"
  else
    printf -v addresses '"%s", ' "${urls[@]}"
    printf 'urls = [%s]\n' "${addresses%, }"
  fi
  printf 'replicas = 3\nmax_size = "256 MiB"\n'
  if [ -n "$tls" ]; then
    printf '[nats.tls]\nca_file = "%s"\ncert_file = "%s"\nkey_file = "%s"\n' "$folder/tls/ca.pem" \
      "$folder/tls/$1.pem" "$folder/tls/$1.key"
  fi
}

# `section ROLE` prints the settings of a role, of its first node.
section() {
  local number pair
  case $1 in ingest) number=0 ;; delivery) number=1 ;; archiver) number=2 ;; esac
  printf '[%s]\nlisten = "127.0.0.1:%s"\nadmin.listen = "127.0.0.1:%s"\n' "$1" $((base + 50 + number)) \
    $((base + 60 + number))
  if [ -n "$tls" ]; then
    pair="{ cert_file = \"$folder/tls/$1.pem\", key_file = \"$folder/tls/$1.key\" }"
    printf 'tls = %s\nadmin.tls = %s\n' "$pair" "$pair"
  fi
  case $1 in
    ingest) printf 'rooms.url = "http://127.0.0.1:%s"\n' $((base + 40)) ;;
    archiver) printf 'uri_file = "%s"\n' "$folder/secrets/mongo.uri" ;;
  esac
}

prometheus() {
  local number=0 role rules
  rules=$(cd "$here/../prometheus" && pwd)/chatting.rules.yml
  printf 'global: {scrape_interval: 15s, evaluation_interval: 15s}\nrule_files: ["%s"]\nscrape_configs:\n' "$rules"
  for role in ingest delivery archiver; do
    printf '  - job_name: chatting-%s\n' "$role"
    [ -z "$tls" ] || printf '    scheme: https\n    tls_config: {ca_file: "%s"}\n' "$folder/tls/ca.pem"
    printf '    static_configs: [{targets: ["127.0.0.1:%s", "127.0.0.1:%s"]}]\n' $((base + 60 + number)) \
      $((base + 160 + number))
    number=$((number + 1))
  done
}

# The last file that is written tells that all are there.
configure() {
  local login servers mongo options='' n
  mkdir -p "$folder/secrets"
  head -c 32 /dev/urandom | base64 >"$folder/secrets/auth"
  prometheus >"$folder/prometheus.yml"
  mongo=$(IFS=,; echo "${members[*]}")
  if [ -z "$tls" ]; then
    echo "mongodb://$mongo/?replicaSet=rs0" >"$folder/secrets/mongo.uri"
    { common all; section ingest; section delivery; section archiver; } >"$folder/chat.toml"
    return
  fi

  certificates
  for login in "${logins[@]}"; do
    secret "nats-$login"
    printf -v servers ",tls://$login:$(<"$folder/secrets/nats-$login")@%s" "${urls[@]#nats://}"
    echo "${servers#,}" >"$folder/secrets/nats-$login.urls"
  done
  secret mongo-root
  secret mongo-archiver
  head -c 384 /dev/urandom | base64 -w 0 >"$folder/secrets/mongo-members"
  options="tls=true&tlsCAFile=$folder/tls/ca.pem&tlsCertificateKeyFile=$folder/tls/archiver.both.pem"
  echo "mongodb://archiver:$(<"$folder/secrets/mongo-archiver")@$mongo/?replicaSet=rs0&authSource=chatting&$options" \
    >"$folder/secrets/mongo.uri"

  mkdir -p "$folder/nats"
  cp "$here"/../nats/{permissions,tls,routes}.conf "$folder/nats/"
  for n in 1 2 3; do
    # The name is here and not on the command line: a server with a block `cluster` refuses to reload without it.
    { cat "$here/../../nats/server.conf"
      printf 'server_name: nats-%s\ninclude ./permissions.conf\ninclude ./tls.conf\n' "$n"
      printf 'cluster {\n  name: chatting\n  include ./routes.conf\n}\n'; } >"$folder/nats/nats-$n.conf"
  done

  for login in ingest delivery archiver; do
    { common "$login"; section "$login"; } >"$folder/$login.toml"
  done
  for login in setup observer; do
    common "$login" >"$folder/$login.toml"
  done
  # `check` looks at everything.
  { common operator; section ingest; section delivery; section archiver; } >"$folder/operator.toml"
}
