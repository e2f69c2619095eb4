// Follows a look at DNS until it has ended. adminpages/copy.js copies its records.
"use strict";

const SECONDS_BETWEEN_LOOKS = 2;
const MOST_LOOKS = 90; // Three minutes. Then the worker is busy, and people reload.

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
  const status = document.getElementById("copy-status");
  if (isFollowing) status.textContent = status.dataset.done;
}

document.addEventListener("DOMContentLoaded", () => {
  const part = document.getElementById("domain-findings");
  if (!part) return;
  follow(part);
});
