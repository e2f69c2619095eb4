// A download leaves this page open: it then says so, leads back, and keeps no password.
"use strict";

document.querySelector(".narrow-form").addEventListener("submit", (event) => {
  setTimeout(() => {
    event.target.reset();
    document.querySelector("h1 > :last-child").textContent = "Almost done";
    document.querySelector("[data-before-download]").hidden = true;
    document.getElementById("after-download").hidden = false;
  }, 1500);
});
