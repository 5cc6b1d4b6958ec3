/**
 * Put into a page before its own scripts, to watch what the reader gets. `probe.messages`: when each message reached the
 * page and when the frame that shows it was painted; `probe.check()`: words shown before that no longer stand where they
 * stood; `probe.shift`: the browser's own layout-shift score.
 */

const probe = { messages: [], received: 0, shift: 0 };

globalThis.probe = probe;

{
  const NativeSocket = WebSocket;
  const frame = requestAnimationFrame.bind(globalThis);
  const epoch = performance.timeOrigin;
  const now = performance.now.bind(performance);

  globalThis.WebSocket = class extends NativeSocket {
    constructor(...rest) {
      super(...rest);
      this.addEventListener("message", ({ data, timeStamp }) => {
        if (!data.startsWith('{"type":"segment"')) return;
        probe.received++;
        // A frame's callbacks run before it is painted; a task posted from there runs once it has been.
        frame(() => {
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => {
            if (!probe.timed) return;
            const { id, revision } = JSON.parse(data);
            probe.messages.push([`${id}/${revision}`, epoch + timeStamp, epoch + now()]);
          };
          port2.postMessage(null);
        });
      });
    }
  };

  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) probe.shift += value;
  }).observe({ type: "layout-shift", buffered: true });

  const seen = new WeakMap();

  /** Of a word: its line, and where it is on the screen; a line may only roll up by whole lines within its block. */
  function place(span) {
    const line = span.parentNode;
    const block = line.closest(".block").getBoundingClientRect();
    const { left, top } = span.getBoundingClientRect();
    return { line, left, top, height: line.offsetHeight, blockLeft: block.left, blockTop: block.top };
  }

  const near = (a, b) => Math.abs(a - b) < 0.5;
  const wholeLines = (rise, height) => rise > -0.5 && near(rise, Math.round(rise / height) * height);

  probe.check = () => {
    const moved = [];
    let words = 0;
    for (const span of document.querySelector("live-captions").shadowRoot.querySelectorAll(".line span")) {
      const is = place(span);
      const was = seen.get(span);
      words++;
      seen.set(span, is);
      if (was === undefined) continue;
      const stands =
        is.line === was.line &&
        wholeLines(was.top - is.top, is.height) &&
        near(is.left, was.left) &&
        near(is.blockLeft, was.blockLeft) &&
        near(is.blockTop, was.blockTop);
      if (!stands) moved.push(span.textContent);
    }
    return { moved, words };
  };
}
