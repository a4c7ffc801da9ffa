//! A headless Firefox with one page, driven over WebDriver BiDi.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{Folder, eventually};

/// Firefox starts slowly beside other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with its own profile, and its page.
#[derive(Debug)]
pub(crate) struct Firefox {
    child: Child,
    /// The connection, and the number of the last command.
    socket: Mutex<(WebSocketStream<MaybeTlsStream<TcpStream>>, u64)>,
    context: String,
    // Dropped after the process.
    _folder: Folder,
}

impl Firefox {
    pub(crate) async fn start() -> Firefox {
        use std::os::unix::process::CommandExt;
        let folder = Folder::new("firefox");
        let output = std::fs::File::create(folder.path().join("output.log")).unwrap();
        let child = Command::new("firefox-esr")
            .args(["--headless", "--no-remote", "--remote-debugging-port=0", "--profile"])
            .arg(folder.path())
            .arg("about:blank")
            // It writes to its home as well.
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("this test needs firefox-esr on the PATH: apt-get install -y firefox-esr");
        let chosen = folder.path().join("WebDriverBiDiServer.json");
        let port: u64 = eventually("firefox listens", PATIENCE, async || {
            let server: Value = serde_json::from_str(&std::fs::read_to_string(&chosen).ok()?).ok()?;
            server["ws_port"].as_u64()
        })
        .await;
        let (socket, _) = connect_async(format!("ws://127.0.0.1:{port}/session")).await.unwrap();
        let socket = Mutex::new((socket, 0));
        let mut firefox = Firefox { child, socket, context: String::new(), _folder: folder };
        firefox.command("session.new", json!({ "capabilities": {} })).await;
        let tree = firefox.command("browsingContext.getTree", json!({})).await;
        firefox.context = tree["contexts"][0]["context"].as_str().expect("a browser has a page").to_owned();
        firefox
    }

    /// Runs the function in every page before its own scripts.
    pub(crate) async fn before_each_page(&self, function: &str) {
        self.command("script.addPreloadScript", json!({ "functionDeclaration": function })).await;
    }

    /// Goes to the address, and waits until the page is loaded.
    pub(crate) async fn load(&self, url: &str) {
        let navigation = json!({ "context": self.context, "url": url, "wait": "complete" });
        self.command("browsingContext.navigate", navigation).await;
    }

    /// The value of the expression as JSON. A promise is awaited. Panics with an exception.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let text = format!("Promise.resolve({expression}).then((value) => JSON.stringify(value) ?? 'null')");
        let target = json!({ "context": self.context });
        let parameters = json!({ "expression": text, "target": target, "awaitPromise": true });
        let answer = self.command("script.evaluate", parameters).await;
        assert_eq!(answer["type"], "success", "{expression}: {}", answer["exceptionDetails"]);
        serde_json::from_str(answer["result"]["value"].as_str().expect("it is text")).unwrap()
    }

    async fn command(&self, method: &str, parameters: Value) -> Value {
        let mut guard = self.socket.lock().await;
        let (socket, id) = &mut *guard;
        *id += 1;
        let command = json!({ "id": *id, "method": method, "params": parameters });
        socket.send(Message::text(command.to_string())).await.unwrap();
        loop {
            let message = timeout(PATIENCE, socket.next()).await.expect("firefox does not answer");
            let Message::Text(text) = message.expect("firefox went away").unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == *id {
                assert_eq!(answer["type"], "success", "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // Its own process group: the browser and its children.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
