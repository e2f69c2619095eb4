// The button that prints the report; without this script the browser's own menu does.
"use strict";

const print = document.getElementById("campaign-print");
print.hidden = false;
print.addEventListener("click", () => window.print());
