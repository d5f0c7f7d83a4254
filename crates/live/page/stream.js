// Reads the stream of samples, and connects again when it ends.

import { keep, recall } from './storage.js';

/** Without a line for this long, the connection is considered lost. */
const SILENCE = 8_000;

const TOKEN_KEY = 'tower-prometheus-live-token';

/** What a token may consist of. `fetch` refuses others in a header. */
const TOKEN = /^[!-~]+$/;

export class Stream {
  #onLine;
  #onState;
  #askToken;
  #abort = null;
  #retries = 0;
  #lastLine = 0;
  #wake = () => {};

  /** `onState(state, reason)`: connecting, live, lost, full or refused. `askToken(isWrong)` returns a promise of a token. */
  constructor({ onLine, onState, askToken }) {
    this.#onLine = onLine;
    this.#onState = onState;
    this.#askToken = askToken;
    setInterval(() => this.#checkSilence(), 1_000);
    document.addEventListener('visibilitychange', () => {
      this.#checkSilence();
      this.#wake();
    });
    window.addEventListener('online', () => this.#wake());
  }

  async run() {
    for (;;) {
      const isAnswered = await this.#connect();
      if (isAnswered) continue;
      const pause = Math.min(10_000, 500 * 2 ** this.#retries++);
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  }

  /** Reads one stream to its end. Returns whether to connect again at once. */
  async #connect() {
    this.#abort = new AbortController();
    this.#lastLine = Date.now();
    try {
      const token = recall('sessionStorage', TOKEN_KEY);
      if (token !== null && !TOKEN.test(token)) return await this.#tokenIsAsked(true);
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      const url = new URL('data', document.baseURI);
      const response = await fetch(url, { headers, cache: 'no-store', signal: this.#abort.signal });
      if (response.status === 401) return await this.#tokenIsAsked(token !== null);
      if (!response.ok) {
        this.#onState(response.status === 503 ? 'full' : 'refused', (await response.text()).trim());
        return false;
      }
      this.#onState('lost', await this.#read(response.body));
    } catch (error) {
      this.#onState('lost', error.name === 'AbortError' ? 'no data' : 'no connection to the service');
    }
    return false;
  }

  async #tokenIsAsked(isWrong) {
    keep('sessionStorage', TOKEN_KEY, await this.#askToken(isWrong));
    return true;
  }

  /** Reads lines to the end, and returns why it ended. */
  async #read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'the service ended the stream';
      this.#lastLine = Date.now();
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      try {
        for (const line of lines) this.#onLine(JSON.parse(line));
      } catch (error) {
        console.error(error);
        this.#abort.abort();
        // The next stream is likely to fail too: the longest pause.
        this.#retries = Infinity;
        return 'cannot read the samples; reload the page';
      }
      this.#retries = 0;
    }
  }

  /** After a suspend or on a broken network, the stream does not end, so a silent one is aborted. */
  #checkSilence() {
    if (Date.now() - this.#lastLine > SILENCE) this.#abort?.abort();
  }
}
