// Python puts a static picture beside a view, for pages without a kernel. Where the view lives, it has nothing to show.

/** Hides the elements of one class until the returned function is called; their whole row in JupyterLab. */
export function hideStill(name: string | undefined): () => void {
  if (!name) {
    return () => {};
  }
  const style = document.createElement("style");
  const still = `.${CSS.escape(name)}`;
  // Two rules, as a browser that does not know :has() drops the rule.
  style.textContent = `${still} { display: none !important; }\n.jp-OutputArea-child:has(${still}) { display: none !important; }`;
  document.head.append(style);
  return () => style.remove();
}
