// Moves the focus to the result of a test, and says that one is under way.
document.addEventListener("DOMContentLoaded", () => {
  const target = document.querySelector("[data-focus]") || document.querySelector("[aria-invalid=true]");
  if (target) target.focus();

  const form = document.querySelector(".test-form");
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
