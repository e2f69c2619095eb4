// Says on the page that no key answered: the library would only write it to the console.
"use strict";

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const problem = document.getElementById("key-problem");
  if (event.detail.exception.name === "SecurityError") problem.textContent = problem.dataset.address;
  problem.hidden = false;
});
