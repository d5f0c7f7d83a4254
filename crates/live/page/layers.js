// Recognizes the metrics of HTTP and gRPC layers by their names and labels, also with a prefix and in other namings.

import { countOf, current } from './query.js';

const HTTP = /^((?:.*_)?http(?:_server|_client)?)_(requests_total|requests?_duration_seconds|requests_in_progress|active_requests|requests_pending)$/;
const GRPC = /^((?:.*_)?(?:grpc|rpc)_(?:server|client))_(handled_total|calls_total|handling_seconds|call_duration_seconds|in_progress|active_calls)$/;

const ROLES = {
  requests_total: 'requests', handled_total: 'requests', calls_total: 'requests',
  request_duration_seconds: 'durations', requests_duration_seconds: 'durations',
  handling_seconds: 'durations', call_duration_seconds: 'durations',
  requests_in_progress: 'inProgress', active_requests: 'inProgress', requests_pending: 'inProgress',
  in_progress: 'inProgress', active_calls: 'inProgress',
};

const ENDPOINT_LABELS = ['endpoint', 'http_route', 'url_template', 'route'];
/** Labels that say to which row a series belongs. */
const ROW_LABELS = [...ENDPOINT_LABELS, 'grpc_method', 'rpc_method'];
const METHOD_LABELS = ['method', 'http_request_method'];
export const STATUS_LABELS = ['status', 'http_response_status_code', 'grpc_code', 'rpc_response_status_code'];

/** Codes of failed calls, in each format that a layer can export. */
export const GRPC_ERRORS = new Set([
  'Unknown', 'DeadlineExceeded', 'Internal', 'Unavailable', 'DataLoss',
  'UNKNOWN', 'DEADLINE_EXCEEDED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS',
  'unknown', 'deadline_exceeded', 'internal', 'unavailable', 'data_loss',
  '2', '4', '13', '14', '15',
]);

/** Whether a status is an error of the service: 5xx, an error instead of a response, a panic. */
export function isError(status) {
  return /^5(\d\d|xx)$/.test(status) || status === 'error' || status === 'panicked' || GRPC_ERRORS.has(status);
}

/** The families of one layer. */
class Layer {
  constructor(id, isGrpc) {
    this.id = id;
    this.isGrpc = isGrpc;
    this.isClient = id.endsWith('_client');
    this.families = {};
  }

  get title() {
    const kind = this.isGrpc ? 'gRPC' : 'HTTP';
    const prefix = this.id.replace(/_?(axum_)?(http|grpc|rpc)(_server|_client)?$/, '');
    return `${kind} ${this.isClient ? 'client' : 'server'}${prefix ? ` ${prefix}` : ''}`;
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

  /** The family that counts requests, for queries. */
  get requestsName() {
    const { requests, durations } = this.families;
    return requests?.name ?? `${durations?.name}_count`;
  }

  /** Series by row: the endpoint with its method. */
  rows() {
    const rows = new Map();
    for (const role of ['requests', 'durations', 'inProgress']) {
      for (const series of this[role]) {
        // OpenTelemetry's gauge of requests in progress has no endpoint.
        if (role === 'inProgress' && !firstLabel(series, ROW_LABELS)) continue;
        const name = rowName(series);
        if (!rows.has(name)) rows.set(name, { name, requests: [], durations: [], inProgress: [] });
        rows.get(name)[role].push(series);
      }
    }
    return rows;
  }
}

function seriesOf(family) {
  return family ? family.series : [];
}

function firstLabel(series, names) {
  return names.find((name) => series.labels.has(name));
}

/** The name of a series' row, such as `GET /users/{id}` or `shop.Orders/Place`. */
export function rowName(series) {
  if (series.labels.has('grpc_method') || series.labels.has('rpc_method')) {
    const service = series.label('grpc_service');
    const method = series.label('grpc_method') || series.label('rpc_method');
    return service ? `${service}/${method}` : method;
  }
  const endpoint = series.label(firstLabel(series, ENDPOINT_LABELS)) || '(no route)';
  const method = series.label(firstLabel(series, METHOD_LABELS));
  return method ? `${method} ${endpoint}` : endpoint;
}

/** The final status of a request: of OpenTelemetry's labels, the kind of error if there was no response. */
export function statusOf(series) {
  return series.label(firstLabel(series, STATUS_LABELS)) || series.label('error_type');
}

/** Whether a series belongs to a row: it has the row's endpoint, and its method if it has a method. */
export function belongsTo(series, row) {
  if (!firstLabel(series, ROW_LABELS)) return false;
  const name = rowName(series);
  const hasMethod = firstLabel(series, [...METHOD_LABELS, 'grpc_method', 'rpc_method']) !== undefined;
  return hasMethod ? name === row : row.endsWith(` ${name}`) || row === name;
}

/** The labels that select a row in PromQL. */
export function rowLabels(series) {
  const names = [...ROW_LABELS, ...METHOD_LABELS, 'grpc_service'];
  return new Map([...series.labels].filter(([name]) => names.includes(name)));
}

export function isErrorSeries(series) {
  return isError(statusOf(series));
}

/** The number of all requests of series up to now. */
function totalRequests(seriesList) {
  return current(seriesList).reduce((sum, series) => sum + countOf(series, series.last), 0);
}

/** All layers, those of servers and with most requests first. */
export function findLayers(families) {
  const layers = new Map();
  for (const family of families.values()) {
    const isGrpc = GRPC.test(family.name);
    const match = family.name.match(isGrpc ? GRPC : HTTP);
    if (!match) continue;
    const [, id, metric] = match;
    if (!layers.has(id)) layers.set(id, new Layer(id, isGrpc));
    layers.get(id).families[ROLES[metric]] = family;
  }
  const known = [...layers.values()].filter((layer) => layer.families.requests || layer.families.durations);
  const size = (layer) => totalRequests(layer.requests);
  return known.sort((a, b) => a.isClient - b.isClient || size(b) - size(a));
}
