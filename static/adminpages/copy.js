// Copies or downloads the text of an element. The page has it already, so nothing is asked of the server again.
"use strict";

const textOf = (id) => {
  const lines = [...document.querySelectorAll(`#${id} li`)].map((line) => line.textContent);
  return lines.length ? lines.join("\n") : document.getElementById(id).textContent.replaceAll(" ", "");
};

for (const button of document.querySelectorAll("[data-copies]")) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard; // Browsers have none where the site is opened without https.
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(textOf(button.dataset.copies));
      button.textContent = "Copied";
    } catch {
      // The browser or its owner forbids it: the text is marked, so that people can copy it as any other.
      getSelection().selectAllChildren(document.getElementById(button.dataset.copies));
      button.textContent = "Not allowed: copy the marked text yourself";
    }
    setTimeout(() => (button.textContent = label), 5000);
  });
}

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
