// The button that prints the report. Without this script the browser's own menu prints it.
"use strict";

const print = document.getElementById("campaign-print");
print.hidden = false;
print.addEventListener("click", () => window.print());
