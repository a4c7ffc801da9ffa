//! A headless Chromium and its pages, driven over the DevTools protocol. It opens pages and evaluates JavaScript in
//! them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

/// A page that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with its own profile.
#[derive(Debug)]
pub(crate) struct Chromium {
    child: Child,
    url: String,
    // Dropped after the process.
    _folder: Folder,
}

impl Chromium {
    pub(crate) async fn start() -> Chromium {
        use std::os::unix::process::CommandExt;
        let folder = Folder::new("chromium");
        let output = std::fs::File::create(folder.path().join("output.log")).unwrap();
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            // Greyscale text: pictures are smaller, and the same on every screen.
            .arg("--disable-lcd-text")
            // Peer connections over loopback addresses: there may be no other network and no multicast DNS.
            .args(["--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns"])
            // Background tabs are throttled, and all of ours are in the background.
            .args(["--disable-background-timer-throttling", "--disable-renderer-backgrounding"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("these tests need chromium on the PATH: apt-get install -y chromium");
        let chosen: PathBuf = folder.path().join("DevToolsActivePort");
        let port: u16 = eventually("chromium listens", PATIENCE, async || {
            std::fs::read_to_string(&chosen).ok()?.lines().next()?.parse().ok()
        })
        .await;
        Chromium { child, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }

    /// Opens a page in a new tab, and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) -> Page {
        let tab = format!("{}/json/new?about:blank", self.url);
        let tab: Value = testkit::client().build().unwrap().put(tab).send().await.unwrap().json().await.unwrap();
        let page = Page::of(&tab).await;
        page.load(url).await;
        page
    }

    /// Waits for the tab that a page has opened, with this in its address.
    pub(crate) async fn opened(&self, part: &str) -> Page {
        let tabs = format!("{}/json/list", self.url);
        let tab = eventually("the page opens a tab", PATIENCE, async || {
            let tabs: Vec<Value> = reqwest::get(&tabs).await.ok()?.json().await.ok()?;
            tabs.into_iter().find(|tab| tab["url"].as_str().is_some_and(|url| url.contains(part)))
        });
        Page::of(&tab.await).await
    }

    /// Stops every process of the browser, as a suspended laptop would.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        killpg(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its own process group: the browser and its children.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// A page in a tab.
#[derive(Debug)]
pub(crate) struct Page {
    socket: Mutex<Connection>,
}

impl Page {
    /// `tab`: as the browser lists it.
    async fn of(tab: &Value) -> Page {
        let (socket, _) = connect_async(tab["webSocketDebuggerUrl"].as_str().unwrap()).await.unwrap();
        Page { socket: Mutex::new(Connection { socket, last: 0 }) }
    }

    /// Goes to the address, and waits until the page is loaded and its modules have run.
    pub(crate) async fn load(&self, url: &str) {
        self.evaluate("window.isTheOldPage = true").await;
        self.command("Page.navigate", json!({ "url": url })).await;
        eventually("the page is loaded", PATIENCE, async || {
            let loaded = self.evaluate("!window.isTheOldPage && document.readyState === 'complete'").await;
            (loaded == true).then_some(())
        })
        .await;
    }

    /// The value of the expression as JSON. A promise is awaited. Panics with an exception.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.command("Runtime.evaluate", parameters).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Takes the page offline or online. The browser notifies the page.
    pub(crate) async fn offline(&self, offline: bool) {
        self.command("Network.enable", json!({})).await;
        let network = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.command("Network.emulateNetworkConditions", network).await;
    }

    /// Gives the page a size, and the theme `light` or `dark`.
    pub(crate) async fn look(&self, (width, height): (u32, u32), theme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", size).await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// Saves what the page shows, as a PNG.
    pub(crate) async fn picture(&self, path: &Path) {
        self.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))").await;
        let picture = self.command("Page.captureScreenshot", json!({ "format": "png" })).await;
        let picture = STANDARD.decode(picture["data"].as_str().expect("it is text")).unwrap();
        std::fs::write(path, picture).unwrap();
    }

    /// Sends a command of the DevTools protocol and waits for its answer.
    pub(crate) async fn command(&self, method: &str, parameters: Value) -> Value {
        let mut connection = self.socket.lock().await;
        let id = connection.send(method, parameters).await;
        loop {
            let answer = connection.next().await;
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// Begins to record what the browser's threads do, in these categories of its trace events.
    pub(crate) async fn record(&self, categories: &[&str]) {
        let categories = json!({ "includedCategories": categories, "excludedCategories": ["*"] });
        self.command("Tracing.start", json!({ "traceConfig": categories, "transferMode": "ReportEvents" })).await;
    }

    /// Ends the recording. Its events come in no order.
    pub(crate) async fn recorded(&self) -> Vec<Value> {
        let mut connection = self.socket.lock().await;
        connection.send("Tracing.end", json!({})).await;
        let mut events = Vec::new();
        loop {
            let mut message = connection.next().await;
            match message["method"].as_str() {
                Some("Tracing.dataCollected") => {
                    let Value::Array(more) = message["params"]["value"].take() else { panic!("no events: {message}") };
                    events.extend(more);
                }
                Some("Tracing.tracingComplete") => {
                    assert_eq!(message["params"]["dataLossOccurred"], false, "the browser lost trace events");
                    return events;
                }
                _ => {}
            }
        }
    }
}

/// The connection to a tab, and the number of the last command.
#[derive(Debug)]
struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u64,
}

impl Connection {
    /// Returns the number of the command.
    async fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.last += 1;
        let command = json!({ "id": self.last, "method": method, "params": parameters });
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        self.last
    }

    /// The next answer or event.
    async fn next(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("chromium does not answer");
            if let Message::Text(text) = message.expect("chromium went away").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }
}
