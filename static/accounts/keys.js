// Says on the page why a key gave no answer: the library would only write it to the console.
"use strict";

const WORDS = { SecurityError: "address", InvalidStateError: "known" }; // The errors of WebAuthn that tell a cause.

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const problem = document.getElementById("key-problem");
  problem.textContent = problem.dataset[WORDS[event.detail.exception.name] ?? "otherwise"];
  problem.hidden = false;
});
