// A download leaves this page open: it then says so, and keeps no password.
"use strict";

document.querySelector(".narrow-form").addEventListener("submit", (event) => {
  setTimeout(() => {
    event.target.reset();
    document.getElementById("after-download").hidden = false;
  }, 1500);
});
