// @ts-check
/**
 * The room: the presenter's connection, the relay, and three viewers with real peer connections to it. All are in one
 * page here. Between pages, the platform's signalling server carries descriptions and candidates. The modules come from
 * the delivery node, as in a platform's own page.
 */

/** @typedef {import('../../../../delivery/js/presenter.d.ts').Status} Status */
/** @typedef {import('../../../../delivery/js/relay.d.ts').RelayEvent} RelayEvent */
/** @typedef {import('./control.js').Person} Person */

/** A viewer who comes later, or reconnects, gets all that the relay keeps. */
const HISTORY = 2_000;

const RETRY_MS = 500;

/**
 * @param {string} delivery `host:port`
 * @param {{
 *   getToken(): Promise<string>,
 *   onEvent(event: any): void,
 *   onStatus(status: Status): void,
 *   onBegin(position: string): void,
 * }} handlers
 */
export async function openRoom(delivery, { getToken, onEvent, onStatus, onBegin }) {
  const [{ connectPresenter }, { createRelay }, { receive }] = await Promise.all(
    ['presenter', 'relay', 'viewer'].map((name) => load(`http://${delivery}/${name}.js`)),
  );
  const relay = createRelay({ history: HISTORY, maxEvents: HISTORY });
  let hasBegun = false;
  const begin = (/** @type {string | null} */ position) => {
    if (hasBegun || position === null) return;
    hasBegun = true;
    onBegin(position);
  };
  /** The last event that the page has taken. @type {string | null} */
  let taken = null;
  const connect = () => {
    const presenter = connectPresenter({
      url: `ws://${delivery}/v1/presenter`,
      getToken,
      // A new page resumes where the server knows that the last one was.
      storage: { load: () => taken, save: () => {} },
      onEvent: (/** @type {any} */ event) => {
        begin(presenter.position);
        taken = event.position;
        onEvent(event);
        return relay.send(event);
      },
      // At the beginning: older messages have left the server's memory.
      onGap: (/** @type {{ resumedAt: string | null }} */ { resumedAt }) => begin(resumedAt),
      onStatus: (/** @type {Status} */ status) => {
        onStatus(status);
        // The client takes the position of the welcome after this callback.
        if (status.state === 'live') setTimeout(() => begin(presenter.position));
      },
    });
  };
  connect();
  return { connect, viewer: (/** @type {ViewerHandlers} */ handlers) => new Viewer(relay, receive, handlers) };
}

/** Loads a module, also if the node is down at first. @param {string} url */
async function load(url) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      // Some browsers remember a failure for the address.
      return await import(attempt === 0 ? url : `${url}?attempt=${attempt}`);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** @typedef {{ onEvent(event: RelayEvent): void, onChange(isConnected: boolean): void }} ViewerHandlers */

class Viewer {
  #relay;
  #receive;
  #handlers;
  /** @type {any} */
  #client;
  /** @type {RTCPeerConnection[]} */
  #peers = [];

  /** @param {any} relay @param {any} receive @param {ViewerHandlers} handlers */
  constructor(relay, receive, handlers) {
    this.#relay = relay;
    this.#receive = receive;
    this.#handlers = handlers;
  }

  async connect() {
    this.disconnect();
    const [here, there] = (this.#peers = [new RTCPeerConnection(), new RTCPeerConnection()]);
    here.onicecandidate = ({ candidate }) => there.addIceCandidate(candidate ?? undefined).catch(() => {});
    there.onicecandidate = ({ candidate }) => here.addIceCandidate(candidate ?? undefined).catch(() => {});
    there.onconnectionstatechange = () => {
      if (there.connectionState === 'failed' && this.#peers[1] === there) void this.connect();
    };
    there.ondatachannel = ({ channel }) => {
      channel.addEventListener('close', () => this.#peers[1] === there && this.#handlers.onChange(false));
      const options = { onEvent: this.#handlers.onEvent };
      if (this.#client) this.#client.attach(channel);
      else this.#client = this.#receive(channel, options);
      this.#handlers.onChange(true);
    };
    this.#relay.add(here.createDataChannel('chat'));
    await here.setLocalDescription();
    await there.setRemoteDescription(/** @type {RTCSessionDescription} */ (here.localDescription));
    await there.setLocalDescription();
    await here.setRemoteDescription(/** @type {RTCSessionDescription} */ (there.localDescription));
  }

  disconnect() {
    const peers = this.#peers;
    this.#peers = [];
    for (const peer of peers) peer.close();
    if (peers.length > 0) this.#handlers.onChange(false);
  }
}
