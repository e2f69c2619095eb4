// Proposes the browser's time zone for the site.
"use strict";

(() => {
  const field = document.getElementById("id_time_zone");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isKnown = [...document.querySelectorAll("#time-zones option")].some((option) => option.value === zone);
  if (!field.value && isKnown && field.placeholder !== zone) field.value = zone;
})();
