/** The looks of the picture of latency. */

const styles = new CSSStyleSheet();

styles.replaceSync(`
.figures, .legend { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin-block: .5rem; color: var(--soft); }
.figures { font-size: 1.125rem; font-weight: 600; color: var(--ink); font-variant-numeric: tabular-nums; }
svg { display: block; inline-size: 100%; block-size: 6rem; border-block-end: 1px solid var(--field); }
path { fill: none; stroke: var(--main); stroke-width: 1.5; }
.dots { stroke-width: 5; stroke-linecap: round; opacity: .7; }
.p95 { stroke-dasharray: 5 4; }
.bar { display: flex; block-size: .75rem; margin-block: .75rem .5rem; border-radius: .4rem; overflow: hidden; }
.bar i { flex: 0 0 0; }
.legend { font-size: .875rem; gap: .25rem 1.1rem; }
.legend div { display: flex; align-items: center; gap: .4rem; }
.legend dd { color: var(--ink); font-variant-numeric: tabular-nums; }
.legend dt::before { content: ""; display: inline-block; inline-size: .7rem; block-size: .7rem; border-radius: .2rem; margin-inline-end: .4rem; background: var(--part); }
.bar i { background: var(--part); }
.buffer { --part: #7b8cff; } .lane_wait { --part: #f2a93b; } .queue { --part: #e0655a; }
.model_delay { --part: #4bb3a7; } .compute { --part: #a36be0; } .send { --part: #8d95a6; }
@media (forced-colors: active) {
  .bar i, .legend dt::before { forced-color-adjust: none; }
}
`);

document.adoptedStyleSheets.push(styles);
