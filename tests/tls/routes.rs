//! `deploy/nats/routes.conf` between real nats-servers: only a server with a certificate of the routes' authority is a
//! member of the cluster.

use std::io::Write as _;
use std::time::Duration;

use testkit::{Member, Server};

use crate::support::{Authority, Folder, Issued, eventually, port};

const CLUSTER: &str = "\ncluster {\n  name: chatting\n  include ./routes.conf\n}\n";

/// A server that shows this certificate to the others, and takes those of the authority.
fn with_routes(server: &Server, issued: &Issued, authority: &Authority) -> Server {
    let mut program = server.program().clone();
    let folder = program.output.parent().unwrap();
    std::fs::write(folder.join("routes.conf"), include_str!("../../deploy/nats/routes.conf")).unwrap();
    let mut configuration = std::fs::OpenOptions::new().append(true).open(folder.join("server.conf")).unwrap();
    configuration.write_all(CLUSTER.as_bytes()).unwrap();
    let files = [("CERT", &issued.cert), ("KEY", &issued.key), ("CA", &authority.file())];
    program.environment.extend(files.map(|(name, file)| (format!("NATS_ROUTES_TLS_{name}"), file.clone())));
    Server::new(program, server.ready_when().clone())
}

#[tokio::test]
async fn a_certificate_of_the_roles_authority_makes_no_member_of_the_cluster() {
    let (routes, roles) = (Authority::new(), Authority::new());
    let member = |_| Member { port: port(), monitoring: port(), route: port() };
    let members: Vec<Member> = (0..3).map(member).collect();
    let way = |_, to: usize| format!("127.0.0.1:{}", members[to].route);
    let folder = Folder::new("nats-routes");
    let servers = testkit::nats_cluster(folder.path(), &members, way).await.unwrap();
    let of_routes = routes.issue("routes", &["127.0.0.1"]);
    let of_a_role = roles.issue("ingest", &["127.0.0.1"]);
    let mut first = with_routes(&servers[0], &of_routes, &routes);
    let mut second = with_routes(&servers[1], &of_routes, &routes);
    // It would take the others for members.
    let mut stranger = with_routes(&servers[2], &of_a_role, &routes);

    for server in [&mut first, &mut second, &mut stranger] {
        server.spawn().unwrap();
    }
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    let log = first.program().output.clone();
    eventually("a member refuses the stranger", Duration::from_secs(30), async || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("certificate signed by unknown authority").then_some(())
    })
    .await;
    let routez = format!("http://127.0.0.1:{}/routez", members[0].monitoring);
    let known = testkit::client().build().unwrap().get(routez).send().await.unwrap().text().await.unwrap();
    assert!(known.contains("nats-1") && !known.contains("nats-2"), "{known}");

    std::fs::copy(&of_routes.cert, &of_a_role.cert).unwrap();
    std::fs::copy(&of_routes.key, &of_a_role.key).unwrap();
    stranger.start().await.unwrap();
}
