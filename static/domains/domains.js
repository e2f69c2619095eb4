// Copies a record, and follows a look at DNS until it has ended.
"use strict";

const SECONDS_BETWEEN_LOOKS = 2;
const MOST_LOOKS = 90; // Three minutes. Then the worker is busy, and people reload.

// For people who hear the page: the name of a button stays what it does.
function say(words, button) {
  if (button) button.textContent = words;
  document.getElementById("domain-status").textContent = words;
}

function prepareCopying(part) {
  for (const button of part.querySelectorAll("[data-copies]")) {
    const label = button.textContent;
    button.hidden = !navigator.clipboard; // Browsers have none where the site is opened without https.
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copies);
      try {
        await navigator.clipboard.writeText(text.textContent);
        say(button.dataset.done, button);
      } catch {
        getSelection().selectAllChildren(text); // The browser or its owner forbids it.
        say(button.dataset.refused, button);
      }
      setTimeout(() => (button.textContent = label), 5000);
    });
  }
}

async function follow(part) {
  const isFollowing = part.querySelector("[data-under-way]");
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
  if (isFollowing) say(document.getElementById("domain-status").dataset.done);
}

document.addEventListener("DOMContentLoaded", () => {
  const part = document.getElementById("domain-findings");
  if (!part) return;
  prepareCopying(part);
  follow(part);
});
