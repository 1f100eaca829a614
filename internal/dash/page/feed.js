// Follows a published state (the state protocol over Server-Sent Events) and keeps it as a Map.

/** A Feed calls changed(keys) at most once a frame with the keys that changed, and told(state) about the connection:
 * "live", "reconnecting" or "ended", when the server no longer lets this page in. */
export class Feed {
  constructor(url, changed, told) {
    this.values = new Map();
    this.changed = changed;
    this.told = told;
    this.pending = new Set();
    this.open(url);
  }

  /** open goes over to another URL of the same state. */
  open(url) {
    this.source?.close();
    this.url = url;
    const source = new EventSource(url);
    this.source = source;
    source.addEventListener("snapshot", (e) => {
      const { snapshot } = JSON.parse(e.data);
      for (const key of this.values.keys()) {
        if (!(key in snapshot)) this.put(key, undefined);
      }
      for (const [key, value] of Object.entries(snapshot)) this.put(key, value);
      this.told("live");
    });
    source.addEventListener("change", (e) => {
      const change = JSON.parse(e.data);
      this.put(change.key, change.deleted ? undefined : change.value);
    });
    source.addEventListener("error", () => {
      this.told(source.readyState === EventSource.CLOSED ? "ended" : "reconnecting");
    });
  }

  put(key, value) {
    if (value === undefined) this.values.delete(key);
    else this.values.set(key, value);
    if (this.pending.size === 0) requestAnimationFrame(() => this.flush());
    this.pending.add(key);
  }

  flush() {
    const keys = this.pending;
    this.pending = new Set();
    this.changed(keys);
  }

  /** under gives the values whose keys begin with prefix. */
  under(prefix) {
    const list = [];
    for (const [key, value] of this.values) {
      if (key.startsWith(prefix)) list.push(value);
    }
    return list;
  }
}
