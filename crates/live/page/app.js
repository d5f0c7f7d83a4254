// The page: connects the stream of samples, the address, the controls and what is shown.

import { cssColor, forgetColors } from './colors.js';
import { byId, el, setText } from './dom.js';
import { EndpointPage } from './endpoint.js';
import { commonLabels, formatTime } from './format.js';
import { findLayers } from './layers.js';
import { MetricsPage } from './metrics.js';
import { showNotices } from './notices.js';
import { OverviewPage } from './overview.js';
import { keep, recall } from './storage.js';
import { Store, upperBound } from './store.js';
import { Stream } from './stream.js';
import { RANGES, View } from './view.js';

const THEME_KEY = 'tower-prometheus-live-theme';
const PAGES = { overview: OverviewPage, endpoint: EndpointPage, metrics: MetricsPage };

class App {
  store = new Store();
  view = new View(() => this.render());
  layers = [];
  serviceName = location.host;
  /** The labels that all series have. */
  constantLabels = new Map();
  /** The time under the pointer, in all charts; null if there is none. */
  cursor = null;

  #page = null;
  #pageKey = '';
  #version = -1;
  #isScheduled = false;
  #connection = { state: 'connecting', reason: '' };

  start() {
    this.#addControls();
    const stream = new Stream({
      onLine: (line) => {
        if (this.store.line(line)) this.#setConnection('live');
      },
      onState: (state, reason) => this.#setConnection(state, reason),
      askToken,
    });
    window.addEventListener('resize', () => this.render());
    document.addEventListener('keydown', (event) => this.#onKey(event));
    this.render();
    stream.run();
  }

  /** Draws everything again, once before the next frame. */
  render() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#renderNow();
    });
  }

  setCursor(time) {
    this.cursor = time;
    requestAnimationFrame(() => this.#page?.draw());
  }

  #span() {
    return this.view.span(this.store.times[0] ?? 0, this.store.lastTime);
  }

  /** Computes and draws one card, which has come into view. */
  redraw(card) {
    const span = this.#span();
    card.update(this.store.frame(span.from, span.to), span);
  }

  /** Copies a text, or shows it where the browser does not allow that: on pages without TLS. */
  async copy(title, text) {
    try {
      await navigator.clipboard.writeText(text);
      this.#announce(`${title} copied`);
    } catch {
      setText(byId('text-title'), title);
      byId('text-content').value = text;
      byId('text-dialog').showModal();
      byId('text-content').select();
    }
  }

  #announce(text) {
    const toast = el('p', { class: 'toast', role: 'status' }, text);
    document.body.append(toast);
    setTimeout(() => toast.remove(), 2_000);
  }

  #setConnection(state, reason = '') {
    this.#connection = { state, reason };
    this.render();
  }

  #renderNow() {
    const { store, view } = this;
    if (store.version !== this.#version) {
      this.#version = store.version;
      this.layers = findLayers(store);
      this.#nameService();
    }
    const span = this.#span();
    this.#showControls(span);
    showNotices(byId('notices'), store);
    this.#choosePage();
    this.#page.update(store.frame(span.from, span.to), store.instant(span.to), span);
  }

  #choosePage() {
    const { page, layer, row } = this.view;
    const key = [page, layer, row].join('\n');
    if (key === this.#pageKey) return;
    const isFirst = this.#pageKey === '';
    this.#pageKey = key;
    this.#page?.destroy();
    this.#page = new PAGES[page](this);
    byId('view').replaceChildren(this.#page.element);
    if (!isFirst) {
      byId('view').focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  }

  /** The name in the title: the label `service`, if all series have it. */
  #nameService() {
    const all = [...this.store.families.values()].flatMap((family) => family.series);
    this.constantLabels = commonLabels(all);
    this.serviceName = this.constantLabels.get('service') || location.host;
    setText(byId('service'), this.serviceName);
    document.title = `${this.serviceName} – live metrics`;
  }

  #addControls() {
    byId('ranges').append(...RANGES.map(({ seconds, title }) =>
      el('button', { type: 'button', value: seconds, onclick: () => this.view.set({ range: seconds, zoom: null }) }, title)));
    byId('pause').addEventListener('click', () => this.#togglePause());
    byId('theme').addEventListener('click', () => this.#toggleTheme());
    byId('help').addEventListener('click', () => byId('help-dialog').showModal());
    setTheme(recall('localStorage', THEME_KEY));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#themeChanged());
  }

  #showControls(span) {
    const { view, store } = this;
    const isPaused = view.pausedAt !== null || view.zoom !== null;
    for (const button of byId('ranges').children) {
      button.setAttribute('aria-pressed', String(!view.zoom && Number(button.value) === view.range));
    }
    byId('pause').setAttribute('aria-pressed', String(isPaused));
    setText(byId('pause'), isPaused ? 'Continue' : 'Pause');
    const { page } = view;
    byId('to-overview').href = view.hash({ page: 'overview', filter: '', sort: '' });
    byId('to-metrics').href = view.hash({ page: 'metrics', filter: '', sort: '' });
    setCurrent(byId('to-overview'), page !== 'metrics');
    setCurrent(byId('to-metrics'), page === 'metrics');
    const { state, reason } = this.#connection;
    const shownTick = store.times[upperBound(store.times, span.to) - 1] ?? 0;
    const time = formatTime(shownTick);
    const texts = {
      connecting: 'Connecting',
      live: `${isPaused ? 'Paused' : 'Live'} ${time}`,
      lost: `Reconnecting: ${reason}`,
      full: reason,
      refused: reason,
    };
    const status = byId('status');
    status.dataset.state = state === 'live' && isPaused ? 'paused' : state;
    status.dataset.tick = shownTick;
    setText(status, texts[state]);
  }

  #togglePause() {
    const { view, store } = this;
    const isPaused = view.pausedAt !== null || view.zoom !== null;
    view.set(isPaused ? { pausedAt: null, zoom: null } : { pausedAt: store.lastTime });
  }

  #toggleTheme() {
    const theme = isDark() ? 'light' : 'dark';
    keep('localStorage', THEME_KEY, theme);
    setTheme(theme);
    this.#themeChanged();
  }

  #themeChanged() {
    forgetColors();
    this.render();
  }

  #onKey(event) {
    const isTyping = event.target.closest('input, textarea, dialog');
    if (event.key === 'Escape' && event.target.matches('input')) event.target.blur();
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { view } = this;
    const isButton = event.target.closest('button, a, summary');
    const range = RANGES[Number(event.key) - 1];
    if (range) view.set({ range: range.seconds, zoom: null });
    else if (event.key === ' ' && !isButton) this.#togglePause();
    else if (event.key === '/') document.querySelector('.filter')?.focus();
    else if (event.key === 't') this.#toggleTheme();
    else if (event.key === '?') byId('help-dialog').showModal();
    else if (event.key === 'Escape' && view.zoom) view.set({ zoom: null });
    else if (event.key === 'Escape' && view.page === 'endpoint') location.hash = view.hash({ page: 'overview' });
    else return;
    event.preventDefault();
  }
}

function setCurrent(link, isCurrent) {
  if (isCurrent) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
}

function isDark() {
  return cssColor('--is-dark') === '1';
}

function setTheme(theme) {
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
}

/** Asks for the token of the service. */
function askToken(isWrong) {
  setText(byId('token-error'), isWrong ? 'The service does not accept this token.' : '');
  const dialog = byId('token-dialog');
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    // Not at the submit: the browser closes the dialog after that, and it may be needed again at once.
    dialog.addEventListener('close', () => resolve(byId('token-input').value.trim()), { once: true });
  });
}

new App().start();
