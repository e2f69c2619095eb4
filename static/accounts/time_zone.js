// Proposes the browser's time zone where the form has another one.
"use strict";

(() => {
  const proposal = document.getElementById("zone-proposal");
  const field = document.getElementById(proposal.dataset.field);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isKnown = [...field.options].some((option) => option.value === zone);
  const button = proposal.querySelector("button");
  const show = () => { proposal.hidden = !isKnown || (field.value || proposal.dataset.site) === zone; };
  button.textContent = button.dataset.label.replace("{zone}", zone);
  button.addEventListener("click", () => { field.value = zone; show(); field.focus(); });
  field.addEventListener("change", show);
  show();
})();
