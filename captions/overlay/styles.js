/** The looks of <live-captions>. A constructed sheet: the strictest Content-Security-Policy lets it pass. */

export const styles = new CSSStyleSheet();

styles.replaceSync(`
:host {
  --ink: 255 255 255;
  --band: 0 0 0;
  --quiet: #d6d6d6;
  --opacity: 80%;
  display: block;
  position: relative;
  min-block-size: 6rem;
  overflow: clip;
  font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-weight: 500;
  text-align: start;
  forced-color-adjust: auto;
}
:host([hidden]) { display: none; }
.stage, .block { inset-inline: 0; }
.stage { position: absolute; inset-block: 0; }
.stage.light { --ink: 17 17 17; --band: 255 255 255; --quiet: #333; }
.stage.yellow { --ink: 255 236 64; --quiet: #ded17c; }
.stage.contrast { --quiet: #fff; }
.block {
  position: absolute;
  inset-block-end: calc(var(--at) * var(--place));
  block-size: var(--place);
  inline-size: min(100%, var(--measure));
  margin-inline: auto;
  color: rgb(var(--ink));
  font-size: var(--size);
  line-height: var(--line);
}
.left .block { margin-inline: 0 auto; }
.right .block { margin-inline: auto 0; }
.top .block { inset-block: calc(var(--at) * var(--place)) auto; }
.band {
  box-sizing: border-box;
  padding: var(--padding) var(--side);
  border-radius: .3em;
  background: rgb(var(--band) / var(--opacity));
}
.name {
  block-size: var(--name);
  line-height: var(--name);
  color: var(--speaker);
  font-size: .72em;
  font-weight: 700;
  letter-spacing: .01em;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  unicode-bidi: plaintext;
}
.outlined .band { background: none; paint-order: stroke fill; -webkit-text-stroke: .16em rgb(var(--band)); }
.nameless .name { display: none; }
.lines {
  position: relative;
  block-size: calc(var(--rows) * var(--line));
  overflow: clip;
  overflow-clip-margin: 0px;
}
.line {
  position: absolute;
  inset: 0 0 auto;
  block-size: var(--line);
  white-space: pre;
  unicode-bidi: plaintext;
  transform: translateY(calc(var(--row) * var(--line)));
  transition: transform .12s ease-out;
}
.tentative {
  color: var(--quiet);
  text-decoration: underline dotted 1px;
  text-underline-offset: .2em;
}
.fading { opacity: 0; transition: opacity .2s; }
.still * { transition: none !important; }
.notice, .hint, .more {
  position: absolute;
  inset-block: .5rem auto;
  inset-inline: 0;
  inline-size: fit-content;
  max-inline-size: 90%;
  margin-inline: auto;
  padding: .3rem .8rem;
  border-radius: 2rem;
  background: #2b2b2b;
  color: #fff;
  font-size: .875rem;
  line-height: 1.4;
}
.more { margin-inline: auto .5rem; }
.top ~ .more, .top ~ .notice, .hint { inset-block: auto .5rem; }
.top ~ .hint { inset-block: .5rem auto; }
.unnoticed ~ .notice, .unnoticed ~ .hint, .unnoticed ~ .more, .unnoticed ~ .back, .notice:empty, .hint:empty, .more:empty { display: none; }
.back, .log {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  overflow: hidden;
  clip-path: inset(50%);
}
@media (prefers-reduced-motion: reduce) {
  .block * { transition: none; }
}
@media (forced-colors: active) {
  .band, .notice, .hint, .more { border: 1px solid CanvasText; background: Canvas; }
  .block, .name, .notice, .hint, .more, .tentative { color: CanvasText; }
}
`);
