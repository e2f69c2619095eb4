// Copies or downloads the text of an element. The page has it already, so nothing is asked of the server again.
"use strict";

const textOf = (id, isCompact) => {
  const lines = [...document.querySelectorAll(`#${id} li`)].map((line) => line.textContent);
  const text = lines.length ? lines.join("\n") : document.getElementById(id).textContent;
  return isCompact ? text.replaceAll(" ", "") : text; // A key is shown in groups and typed without blanks.
};

// Pages that replace a part of themselves call it again for that part.
function prepareCopying(part) {
  for (const button of part.querySelectorAll("[data-copies]")) {
    const label = button.textContent;
    button.hidden = !navigator.clipboard; // Browsers have none where the site is opened without https.
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(textOf(button.dataset.copies, "compact" in button.dataset));
        button.textContent = button.dataset.done;
      } catch {
        // The browser or its owner forbids it: the text is marked, so that people can copy it as any other.
        getSelection().selectAllChildren(document.getElementById(button.dataset.copies));
        button.textContent = button.dataset.refused;
      }
      // For people who hear the page: the name of a button stays what it does.
      const status = document.getElementById("copy-status");
      if (status) status.textContent = button.textContent;
      setTimeout(() => (button.textContent = label), 5000);
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  prepareCopying(document);
  for (const button of document.querySelectorAll("[data-downloads]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const text = `${button.dataset.heading}\n\n${textOf(button.dataset.downloads)}\n`;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      link.download = button.dataset.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }
});
