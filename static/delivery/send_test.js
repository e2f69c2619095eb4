// Follows a test until it has ended, moves the focus to its result, and says that one is under way.
const SECONDS_BETWEEN_LOOKS = 1;

async function follow(result) {
  if (!result.querySelector("[data-under-way]")) return;
  while (result.querySelector("[data-under-way]")) {
    await new Promise((resolve) => setTimeout(resolve, SECONDS_BETWEEN_LOOKS * 1000));
    try {
      const answer = await fetch("?part", { credentials: "same-origin" });
      // Signed out, say, or the test is gone: the page itself says so.
      if (!answer.ok || answer.redirected) return window.location.reload();
      const part = document.createElement("template");
      part.innerHTML = await answer.text();
      // What is said of the server stands above the form, and an accepted test changes it.
      const hints = part.content.querySelector("#test-hints");
      if (hints) document.getElementById("test-hints").replaceWith(hints);
      result.replaceChildren(part.content);
    } catch {
      // The line is gone for now; the next look may find it again.
    }
  }
  result.querySelector("[data-focus]")?.focus();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("[data-focus]")?.focus();
  follow(document.getElementById("test-result"));

  const form = document.querySelector(".test-form");
  if (!form) return; // A page of a campaign's tests only follows them.
  const button = form.querySelector("button[type=submit]");
  const label = button.textContent;
  const status = document.getElementById("test-status");

  form.addEventListener("submit", (event) => {
    if (button.getAttribute("aria-disabled") === "true") {
      event.preventDefault(); // A second click would send a second test.
      return;
    }
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
    status.textContent = status.dataset.busy;
  });

  // The browser's back button may bring the page as it was left.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    button.removeAttribute("aria-disabled");
    button.textContent = label;
    status.textContent = "";
  });
});
