// Copies a record, and follows a look at DNS until it has ended.
"use strict";

const SECONDS_BETWEEN_LOOKS = 2;
const MOST_LOOKS = 90; // Three minutes. Then the worker is busy, and people reload.

function prepareCopying(part) {
  for (const button of part.querySelectorAll("[data-copies]")) {
    const label = button.textContent;
    button.hidden = !navigator.clipboard; // Browsers have none where the site is opened without https.
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = button.dataset.done;
      } catch {
        getSelection().selectAllChildren(text); // The browser or its owner forbids it.
        button.textContent = button.dataset.refused;
      }
      setTimeout(() => (button.textContent = label), 5000);
    });
  }
}

async function follow(part) {
  for (let look = 0; look < MOST_LOOKS && part.querySelector("[data-under-way]"); look++) {
    await new Promise((resolve) => setTimeout(resolve, SECONDS_BETWEEN_LOOKS * 1000));
    try {
      const answer = await fetch("?part", { credentials: "same-origin" });
      // Signed out, say, or the domain is gone: the page itself says so.
      if (!answer.ok || answer.redirected) return window.location.reload();
      part.innerHTML = await answer.text();
      prepareCopying(part);
    } catch {
      // The line is gone for now; the next look may find it again.
    }
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const part = document.getElementById("domain-findings");
  if (!part) return;
  prepareCopying(part);
  follow(part);
});
