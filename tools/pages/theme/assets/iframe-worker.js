// A browser starts no worker from a folder (file://). The search worker of the theme is run in a
// hidden frame of the page instead; on a web server nothing here is used.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...names) => Promise.all(names.map((name) => this.load(name)));
      this.ready = this.load(script);
    }

    load(script) {
      return new Promise((done, failed) => {
        const tag = this.frame.contentDocument.createElement("script");
        tag.src = script;
        tag.onload = done;
        tag.onerror = failed;
        this.frame.contentDocument.head.append(tag);
      });
    }

    postMessage(data) {
      const message = new MessageEvent("message", { data });
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(message));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
