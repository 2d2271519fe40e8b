// Light or dark, as the host says and not as the operating system says, where the host says something.

export function isDark(): boolean {
  const { body, documentElement: html } = document;
  const jupyter = body.getAttribute("data-jp-theme-light");
  if (jupyter !== null) {
    return jupyter === "false";
  }
  const named = [
    body.getAttribute("data-vscode-theme-kind"),
    html.getAttribute("data-theme"),
    html.getAttribute("theme"),
  ]
    .concat(body.getAttribute("data-theme"), html.className, body.className)
    .join(" ");
  if (/\b(vscode-)?(dark|high-contrast)\b(?!-light)/.test(named)) {
    return true;
  }
  if (/\b(vscode-)?(light|high-contrast-light)\b/.test(named)) {
    return false;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Calls back whenever the host's theme may have changed; returns how to stop. */
export function watchTheme(callback: () => void): () => void {
  const observer = new MutationObserver(callback);
  const options = {
    attributes: true,
    attributeFilter: [
      "data-jp-theme-light",
      "data-jp-theme-name",
      "data-vscode-theme-kind",
      "data-theme",
      "theme",
      "class",
    ],
  };
  observer.observe(document.body, options);
  observer.observe(document.documentElement, options);
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", callback);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", callback);
  };
}
