// Takes the token out of the address, so that it stays in no history, and sends it.
"use strict";

(() => {
  const token = window.location.hash.slice(1);
  window.history.replaceState(null, "", window.location.pathname);
  const form = document.getElementById("link-form");
  document.getElementById("link-missing").hidden = Boolean(token);
  form.hidden = !token;
  if (token) {
    document.getElementById("link-token").value = token;
    form.submit();
  }
})();
