// The layers of the service, as their definitions describe them: which families are their requests, durations and requests in
// progress, and which labels are the endpoint, the method and the status. All names can be configured.

import { observationsQuery, rateQuery, selector } from './promql.js';
import { countOf, current } from './query.js';

/** Codes of failed calls, in each format that a layer can export. */
const GRPC_ERRORS = new Set([
  'Unknown', 'DeadlineExceeded', 'Internal', 'Unavailable', 'DataLoss',
  'UNKNOWN', 'DEADLINE_EXCEEDED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS',
  'unknown', 'deadline_exceeded', 'internal', 'unavailable', 'data_loss',
  '2', '4', '13', '14', '15',
]);

/** Whether a status is an error of the service: 5xx, an error instead of a response, a panic. */
function isError(status) {
  return /^5(\d\d|xx)$/.test(status) || status === 'error' || status === 'panicked' || GRPC_ERRORS.has(status);
}

/** One layer. `endpoint`, `method`, `service`, `status` and `errorType` are names of labels, or null. */
class Layer {
  constructor(definition, store) {
    Object.assign(this, definition);
    this.families = Object.fromEntries(Object.entries(definition.families).map(([role, name]) => [role, store.families.get(name)]));
  }

  get kind() {
    return `${this.isGrpc ? 'gRPC' : 'HTTP'} ${this.isClient ? 'client' : 'server'}`;
  }

  /** The heading of the table's first column. */
  get rowTitle() {
    return this.isGrpc ? 'Method' : 'Endpoint';
  }

  /** The series that count requests: the counter, or the histogram of durations if there is none. */
  get requests() {
    return seriesOf(this.families.requests ?? this.families.durations);
  }

  get durations() {
    return seriesOf(this.families.durations);
  }

  get inProgress() {
    return seriesOf(this.families.inProgress);
  }

  /** The query for requests per second, by labels. */
  requestsQuery(labels, patterns, by) {
    const { requests, durations } = this.families;
    return requests ? rateQuery(selector(requests.name, labels, patterns), by) : observationsQuery(durations, labels, patterns, by);
  }

  /** The labels with the final status that the series of requests have. */
  get statusLabels() {
    return [this.status, this.errorType].filter((name) => this.requests.some((series) => series.labels.has(name)));
  }

  /** The final status of a request; the kind of error if there was no response. */
  statusOf(series) {
    return series.label(this.status) || series.label(this.errorType);
  }

  /** Whether requests of a series failed. Without a status, the kind of error may have any name, such as `timeout`. */
  isErrorSeries(series) {
    const status = series.label(this.status);
    return status ? isError(status) : !['', 'cancelled'].includes(series.label(this.errorType));
  }

  /** A matcher for the failed requests in PromQL; undefined if the metric has no label for it. */
  get errorMatcher() {
    const [label] = this.statusLabels;
    if (this.isGrpc) return label && [label, '=~', [...GRPC_ERRORS].join('|')];
    // The label has the status of a client's 4xx responses too.
    if (this.statusLabels.includes(this.errorType)) return [this.errorType, '!~', '|cancelled|4..'];
    return label && [label, '=~', '5.*|error|panicked'];
  }

  /** Series by row: the endpoint with its method. */
  rows() {
    const rows = new Map();
    for (const role of ['requests', 'durations', 'inProgress']) {
      for (const series of this[role]) {
        // OpenTelemetry's gauge of requests in progress has no endpoint.
        if (role === 'inProgress' && this.endpoint && !series.labels.has(this.endpoint)) continue;
        const name = this.rowName(series);
        if (!rows.has(name)) rows.set(name, { name, requests: [], durations: [], inProgress: [] });
        rows.get(name)[role].push(series);
      }
    }
    return rows;
  }

  /** The name of a series' row, such as `GET /users/{id}` or `shop.Orders/Place`. */
  rowName(series) {
    const endpoint = series.label(this.endpoint) || (this.isGrpc ? '' : '(no route)');
    const service = series.label(this.service);
    const method = series.label(this.method);
    if (service) return `${service}/${endpoint}`;
    return method ? `${method} ${endpoint}` : endpoint;
  }

  /** Whether a series belongs to a row: it has the row's endpoint, and its method if it has a method. */
  belongsTo(series, row) {
    if (!series.labels.has(this.endpoint)) return false;
    const name = this.rowName(series);
    return name === row || (!series.labels.has(this.method) && row.endsWith(` ${name}`));
  }

  /** The labels that select a row in PromQL. */
  rowLabels(series) {
    const names = [this.endpoint, this.method, this.service];
    return new Map([...series.labels].filter(([name]) => names.includes(name)));
  }
}

function seriesOf(family) {
  return family ? family.series : [];
}

/** The number of all requests of series up to now. */
function totalRequests(seriesList) {
  return current(seriesList).reduce((sum, series) => sum + countOf(series, series.last), 0);
}

/** All layers with series, those of servers and with most requests first. */
export function findLayers(store) {
  const all = [...store.layers.values()].map((definition) => new Layer(definition, store));
  const layers = all.filter(({ families }) => families.requests || families.durations);
  for (const layer of layers) {
    const isOnly = layers.every((other) => other === layer || other.kind !== layer.kind);
    layer.title = isOnly ? layer.kind : `${layer.kind} (${layer.id})`;
  }
  const size = (layer) => totalRequests(layer.requests);
  return layers.sort((a, b) => a.isClient - b.isClient || size(b) - size(a));
}
