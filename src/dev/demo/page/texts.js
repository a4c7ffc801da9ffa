// @ts-check
/** The texts of the page, in English and Korean, and the choice between them. */

const EN = {
  tagline: 'Kill any part while people chat. Every accepted message still arrives, once and in order.',
  console: 'Moderate in the console',
  language: 'Language',
  countsTitle: 'Where the messages are',
  accepted: 'Accepted',
  presenter: 'Presenter',
  viewer: (/** @type {number} */ user) => `Viewer ${user}`,
  archive: 'Archive',
  lost: 'Lost',
  repeated: 'Twice',
  disordered: 'Out of order',
  allHere: 'all here',
  none: 'none yet',
  onTheWay: (/** @type {number} */ count) => `${count} on the way`,
  waitFor: (/** @type {number} */ count, /** @type {string} */ part) => `${count} wait for ${part}`,
  isLost: (/** @type {number} */ count) => `${count} lost`,
  sending: (/** @type {number} */ count) => `${count} being sent`,
  everyAnswer: 'in the log',
  waitToReconnect: (/** @type {number} */ count) => `${count} wait to reconnect`,
  playTitle: 'A recorded evening',
  start: 'Start',
  stop: 'Stop',
  speed: 'Speed',
  posts: (/** @type {number} */ refused, /** @type {number} */ unknown) =>
    `40 people chat, again and again. Refused, empty or too long: ${refused}${unknown ? `. No answer: ${unknown}` : ''}`,
  raid: 'Raid the room',
  raidHint: 'Then sweep it away in the console.',
  raidText: (/** @type {number} */ number) => `come to my room ${number}`,
  partsTitle: 'Kill a part',
  downFor: 'Down for',
  seconds0: '0 s',
  seconds5: '5 s',
  seconds15: '15 s',
  kill: 'Kill',
  killPart: (/** @type {string} */ part) => `Kill ${part}`,
  purposes: {
    ingest: 'accepts messages over HTTP',
    'nats-server': 'the log, fsynced',
    delivery: 'the presenter’s WebSocket',
    archiver: 'writes the log into MongoDB',
    mongod: 'the archive',
  },
  running: 'running',
  down: (/** @type {string} */ seconds) => `killed, ${seconds} s`,
  starting: (/** @type {string} */ seconds) => `starting, ${seconds} s`,
  backAfter: (/** @type {string} */ seconds) => `back after ${seconds} s`,
  newsDown: (/** @type {string} */ part) => `${part} was killed`,
  newsBack: (/** @type {string} */ part, /** @type {string} */ seconds) => `${part} is back after ${seconds} s`,
  room: 'The room',
  connecting: 'connecting',
  live: 'WebSocket open',
  waiting: (/** @type {number} */ seconds) => (seconds > 0 ? `next try in ${seconds} s` : 'reconnecting'),
  stopped: 'stopped',
  closed: 'closed',
  channelOpen: 'channel open',
  message: 'Message',
  channelClosed: 'disconnected',
  cut: 'Disconnect',
  cutViewer: (/** @type {string} */ name) => `Disconnect ${name}`,
  connect: 'Reconnect',
  connectViewer: (/** @type {string} */ name) => `Reconnect ${name}`,
  empty: 'No message yet. Press Start, or write below.',
  deleted: 'deleted',
  writeAs: (/** @type {string} */ name) => `Write as ${name.toLowerCase()}`,
  send: 'Send',
  posting: 'Sending …',
  retrying: 'No answer. Trying again with the same key …',
  postAccepted: 'Accepted',
  postRefused: (/** @type {number} */ status, /** @type {string} */ code, /** @type {string} */ detail) =>
    `Refused: ${status} ${code}. ${detail}`,
  postUnknown: 'No answer for two minutes. It may be stored.',
  tryTitle: 'Try it yourself: tokens and curl lines',
  tryHint: 'The tokens are valid for a day. The commands run in the folder of the project.',
  moderator: 'Moderator',
  token: (/** @type {string} */ name) => `Token: ${name.toLowerCase()}`,
  copy: 'Copy',
  copied: 'Copied',
  copyThis: (/** @type {string} */ what) => `Copy: ${what}`,
  gone: '`dev` does not answer. Start it again; this page continues by itself.',
  replaced: 'Another page or program has taken the presenter’s place in this room.',
  takeOver: 'Take it back',
};

/** @type {typeof EN} */
const KO = {
  tagline: '채팅 중에 무엇이든 강제 종료해 보세요. 수락된 메시지는 모두 한 번씩, 순서대로 도착합니다.',
  console: '콘솔에서 관리하기',
  language: '언어',
  countsTitle: '메시지가 있는 곳',
  accepted: '수락됨',
  presenter: '스트리머',
  viewer: (user) => `시청자 ${user}`,
  archive: '아카이브',
  lost: '유실',
  repeated: '중복',
  disordered: '순서 바뀜',
  allHere: '모두 도착',
  none: '아직 없음',
  onTheWay: (count) => `${count}개 전송 중`,
  waitFor: (count, part) => `${count}개 대기: ${part}`,
  isLost: (count) => `${count}개 유실`,
  sending: (count) => `${count}개 보내는 중`,
  everyAnswer: '로그에 저장됨',
  waitToReconnect: (count) => `${count}개 재연결 대기`,
  playTitle: '녹화된 저녁',
  start: '시작',
  stop: '정지',
  speed: '속도',
  posts: (refused, unknown) =>
    `40명의 채팅을 반복해서 재생합니다. 비었거나 너무 길어 거절됨: ${refused}개${unknown ? `. 응답 없음: ${unknown}개` : ''}`,
  raid: '방 도배하기',
  raidHint: '그다음 콘솔에서 일괄 삭제해 보세요.',
  raidText: (number) => `내 방으로 오세요 ${number}`,
  partsTitle: '강제 종료해 보기',
  downFor: '재시작까지',
  seconds0: '0초',
  seconds5: '5초',
  seconds15: '15초',
  kill: '강제 종료',
  killPart: (part) => `${part} 강제 종료`,
  purposes: {
    ingest: 'HTTP로 메시지 수락',
    'nats-server': '로그, fsync로 저장',
    delivery: '스트리머의 WebSocket',
    archiver: '로그를 MongoDB에 기록',
    mongod: '아카이브',
  },
  running: '실행 중',
  down: (seconds) => `종료됨, ${seconds}초`,
  starting: (seconds) => `시작 중, ${seconds}초`,
  backAfter: (seconds) => `${seconds}초 만에 복구`,
  newsDown: (part) => `${part} 종료됨`,
  newsBack: (part, seconds) => `${part}, ${seconds}초 만에 복구됨`,
  room: '방',
  connecting: '연결 중',
  live: 'WebSocket 연결됨',
  waiting: (seconds) => (seconds > 0 ? `${seconds}초 뒤 다시 시도` : '다시 연결 중'),
  stopped: '중단됨',
  closed: '닫힘',
  channelOpen: '채널 연결됨',
  message: '메시지',
  channelClosed: '연결 끊김',
  cut: '연결 끊기',
  cutViewer: (name) => `${name} 연결 끊기`,
  connect: '다시 연결',
  connectViewer: (name) => `${name} 다시 연결`,
  empty: '아직 메시지가 없습니다. 시작을 누르거나 아래에 입력하세요.',
  deleted: '삭제됨',
  writeAs: (name) => `${name} 이름으로 쓰기`,
  send: '보내기',
  posting: '보내는 중 …',
  retrying: '응답이 없어 같은 키로 다시 보내는 중 …',
  postAccepted: '수락됨',
  postRefused: (status, code, detail) => `거절됨: ${status} ${code}. ${detail}`,
  postUnknown: '2분 동안 응답이 없습니다. 저장되었을 수도 있습니다.',
  tryTitle: '직접 해 보기: 토큰과 curl 명령',
  tryHint: '토큰은 하루 동안 유효합니다. 명령은 프로젝트 폴더에서 실행하세요.',
  moderator: '매니저',
  token: (name) => `토큰: ${name}`,
  copy: '복사',
  copied: '복사됨',
  copyThis: (what) => `복사: ${what}`,
  gone: '`dev`가 응답하지 않습니다. 다시 시작하면 이 페이지도 이어집니다.',
  replaced: '다른 페이지나 프로그램이 이 방의 스트리머 자리를 차지했습니다.',
  takeOver: '되찾기',
};

/** @typedef {'en' | 'ko'} Language */

const KEY = 'language';
const languages = { en: EN, ko: KO };

/** @returns {Language} */
function preferred() {
  const chosen = localStorage.getItem(KEY);
  if (chosen === 'en' || chosen === 'ko') return chosen;
  return navigator.languages.find((language) => /^(en|ko)\b/.test(language))?.startsWith('ko') ? 'ko' : 'en';
}

/** @type {Language} */
export let language = preferred();

/** The texts in the chosen language. */
export const texts = () => languages[language];

/** @param {Language} chosen */
export function choose(chosen) {
  language = chosen;
  localStorage.setItem(KEY, chosen);
  translate();
}

/** Writes the texts that do not change by themselves. */
export function translate() {
  document.documentElement.lang = language;
  const all = /** @type {Record<string, any>} */ (texts());
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = all[/** @type {HTMLElement} */ (element).dataset.text ?? ''];
  }
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', all[/** @type {HTMLElement} */ (element).dataset.label ?? '']);
  }
}
