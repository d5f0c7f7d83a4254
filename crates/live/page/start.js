// Starts the page. It is served at /live and at /live/, and the service cannot tell which. This script and the style are
// requested by query, which works for both. The address then gets its slash, and everything else is relative to it.
if (!location.pathname.endsWith('/')) {
  history.replaceState(null, '', location.pathname + '/' + location.search + location.hash);
}
import(new URL('app.js', document.baseURI).href);
