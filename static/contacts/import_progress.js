// Polls the progress of an import until it is over, then reloads the page for the refused rows.
document.addEventListener("DOMContentLoaded", () => {
  const panel = document.querySelector("[data-import-progress]");
  if (!panel || panel.dataset.isOver) return;

  const bar = panel.querySelector("[data-bar]");
  const filled = panel.querySelector("[data-bar-filled]");
  const sentence = panel.querySelector("[data-sentence]");

  const show = (progress) => {
    bar.className = `import-bar import-${progress.status}`;
    bar.setAttribute("aria-valuenow", progress.percent);
    filled.setAttribute("width", progress.percent);
    // Set only if changed: a screen reader reads every change aloud.
    if (sentence.textContent !== progress.sentence) sentence.textContent = progress.sentence;
    panel.querySelectorAll("[data-figure]").forEach((figure) => { figure.textContent = progress[figure.dataset.figure]; });
  };

  const ask = async () => {
    let wait = 1000;
    try {
      const response = await fetch(panel.dataset.importProgress, { headers: { Accept: "application/json" } });
      if (response.redirected || response.status === 403) {
        sentence.textContent = panel.dataset.signedOut;
        return;
      }
      if (!response.ok) throw new Error(response.statusText);
      const progress = await response.json();
      show(progress);
      if (progress.is_over) {
        window.location.reload();
        return;
      }
    } catch {
      sentence.textContent = panel.dataset.noAnswer;
      wait = 5000;
    }
    setTimeout(ask, wait);
  };

  setTimeout(ask, 500);
});
