/** The looks of the page's dialogs, loaded with the first of them. */

const styles = new CSSStyleSheet();

styles.replaceSync(`
dialog { inline-size: min(34rem, calc(100vw - 1.5rem)); border: 1px solid var(--edge); border-radius: .9rem; padding: 1.25rem; background: var(--card); color: var(--ink); }
dialog::backdrop { background: #0008; }
fieldset { border: 0; border-block-start: 1px solid var(--edge); margin: .75rem 0 0; padding: .5rem 0 0; }
legend { padding-inline-end: .6rem; font-weight: 600; }
dialog :is(label, .quiet) { margin-block: .25rem; }
dialog label { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) 3.5rem; gap: .6rem; align-items: center; min-block-size: 2.5rem; }
dialog label :is(select, input:not([type=checkbox], [type=range])) { grid-column: 2 / -1; inline-size: 100%; }
.preview { block-size: 9rem; margin-block: .75rem; background: linear-gradient(115deg, #8fb3c9, #b9a58d); border-radius: .5rem; }
.link { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .25rem .5rem; margin-block-start: .75rem; }
.link span { grid-column: 1 / -1; }
output { text-align: end; font-variant-numeric: tabular-nums; }
.ends { display: flex; justify-content: space-between; margin-block-start: 1rem; }
`);

document.adoptedStyleSheets.push(styles);
