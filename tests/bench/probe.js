// Injected before a page's own scripts: when did the user act, and in which frame did the picture change?
// Knows nothing of what it looks at: a canvas is compared pixel by pixel, an image by its source, SVG by its text.
(() => {
  // A WebGL canvas can be read after its frame only if it keeps its pixels.
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return getContext.call(this, kind, kind.startsWith("webgl") ? { ...options, preserveDrawingBuffer: true } : options);
  };

  // Reading all pixels takes milliseconds: only a canvas that was drawn on since is read again.
  const touched = new WeakSet();
  const marks = [
    [CanvasRenderingContext2D, /^(stroke|fill|clear|draw|put|reset$)/],
    [WebGLRenderingContext, /^(draw|clear$)/],
    [WebGL2RenderingContext, /^(draw|clear$|blit)/],
  ];
  for (const [{ prototype }, pattern] of marks) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (pattern.test(name) && typeof value === "function") {
        prototype[name] = function (...given) {
          touched.add(this.canvas);
          return value.apply(this, given);
        };
      }
    }
  }

  function everywhere(css, root = document, found = []) {
    found.push(...root.querySelectorAll(css));
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) everywhere(css, node.shadowRoot, found);
    }
    return found;
  }
  const isShown = (node) => node.getBoundingClientRect().width > 1;

  const copy = document.createElement("canvas");
  const eye = getContext.call(copy, "2d", { willReadFrequently: true });
  const mutated = new MutationObserver((records) => {
    for (const { target } of records) touched.add(target.closest?.("svg") ?? target.parentElement?.closest("svg"));
  });
  const known = new WeakMap();

  /** What an element shows: equal by === to the last one if nothing changed, null if it shows nothing yet. */
  function seen(node) {
    const before = known.get(node);
    if (node instanceof HTMLImageElement) return node.complete && node.naturalWidth ? node.src : null;
    if (before !== undefined && !touched.has(node) && (before === null || before.size === sizeOf(node))) return before;
    touched.delete(node);
    const now = node instanceof HTMLCanvasElement ? pixelsOf(node) : textOf(node);
    const same = before && now && now.size === before.size && equal(now.data, before.data);
    known.set(node, same ? before : now);
    return known.get(node);
  }
  const sizeOf = (node) => (node instanceof HTMLCanvasElement ? `${node.width} ${node.height}` : "");
  function pixelsOf(canvas) {
    const { width, height } = canvas;
    if (!width || !height) return null;
    if (copy.width !== width || copy.height !== height) Object.assign(copy, { width, height });
    eye.clearRect(0, 0, width, height);
    eye.drawImage(canvas, 0, 0);
    const data = new Uint32Array(eye.getImageData(0, 0, width, height).data.buffer);
    return data.every((pixel) => pixel === data[0]) ? null : { size: sizeOf(canvas), data };
  }
  function textOf(svg) {
    if (!known.has(svg)) {
      mutated.observe(svg, { subtree: true, childList: true, attributes: true, characterData: true });
    }
    return svg.querySelector("path") ? { size: "", data: svg.innerHTML } : null;
  }
  function equal(a, b) {
    if (typeof a === "string") return a === b;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
    return true;
  }

  let watch = null;
  let nodes = [];
  function look() {
    const { css, index, past } = watch;
    if (nodes.length === 0 || nodes.some((node) => !node.isConnected)) {
      const all = everywhere(css).filter((node) => !past.has(node) && isShown(node));
      nodes = index === null ? all : all.slice(index, index + 1);
    }
    return nodes.map(seen).filter((picture) => picture !== null);
  }

  // The end of a frame: a message posted in it is handled after it is painted.
  const painted = new MessageChannel();
  let waiting = [];
  painted.port1.onmessage = () => {
    const now = performance.now();
    for (const told of waiting.splice(0)) told(now);
  };
  function frame() {
    if (!watch) return;
    const at = performance.now();
    const pictures = look();
    const changed = pictures.length > 0 && (pictures.length !== watch.last.length || pictures.some((p, i) => p !== watch.last[i]));
    const own = performance.now() - at; // looking is not the widget's time
    if (changed) {
      watch.last = pictures;
      const change = { at: null, looked: at };
      watch.changes.push(change);
      waiting.push((now) => (change.at = now - own));
      painted.port2.postMessage(0);
    }
    requestAnimationFrame(frame);
  }

  for (const kind of ["keydown", "input"]) {
    const note = (event) => watch?.input === null && (watch.input = Math.min(event.timeStamp, performance.now()));
    addEventListener(kind, note, { capture: true });
  }

  window.probe = {
    /** Watch a picture from now on; with `renewed`, only elements that are not there yet. */
    start(css, index, renewed = false) {
      const past = new WeakSet(renewed ? everywhere(css) : []);
      nodes = [];
      watch = { css, index, past, last: [], changes: [], input: null, begun: performance.now() };
      if (!renewed) watch.last = look();
      requestAnimationFrame(frame);
    },
    /** Times of changes in ms since the input (or since the start), once the picture has been still for `quiet` ms. */
    stop(quiet, timeout) {
      return new Promise((done) => {
        const begun = performance.now();
        const poll = setInterval(() => {
          const { changes, input } = watch;
          const last = changes.at(-1);
          const still = last?.at && performance.now() - Math.max(last.at, input ?? 0) > quiet;
          if (still || performance.now() - begun > timeout) {
            clearInterval(poll);
            const from = input ?? watch.begun;
            watch = null;
            done({ seen: input !== null, changes: changes.map(({ at, looked }) => (at ?? looked) - from) });
          }
        }, 15);
      });
    },
    slider(css, index) {
      const node = everywhere(css)[index];
      const number = (name, own) => Number(node.getAttribute(name) ?? own);
      const text = Number.parseFloat(node.getAttribute("aria-valuetext"));
      const native = node instanceof HTMLInputElement;
      return {
        value: native ? Number(node.value) : Number.isNaN(text) ? number("aria-valuenow") : text,
        min: native ? Number(node.min) : number("aria-valuemin"),
        max: native ? Number(node.max) : number("aria-valuemax"),
      };
    },
    focus: (css, index) => everywhere(css)[index].focus({ preventScroll: true }),
    show: (css, index) => everywhere(css)[index].scrollIntoView({ block: "start" }),
    set(css, index, value) {
      const node = everywhere(css)[index];
      node.value = value;
      node.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
      node.dispatchEvent(new Event("change", { bubbles: true, composed: true }));
    },
  };
})();
