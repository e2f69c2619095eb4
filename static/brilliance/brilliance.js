// Alpine data for unfold's templates, in the build without 'unsafe-eval': it takes no statements and knows only what is
// registered here. Also keyboard access to elements that unfold makes for the mouse only.
"use strict";

document.addEventListener("alpine:init", () => {
  for (const component of [theme, searchForm, searchCommand]) {
    Alpine.data(component.name, component);
  }

  Alpine.data("searchDropdown", () => ({
    ...searchDropdown(),
    open() {
      this.openSearchResults = true;
      this.currentIndex = 0;
    },
    leave() {
      this.openSearchResults = false;
      if (this.$refs.searchInput.value === "") this.$refs.searchInput.blur();
      else this.$refs.searchInput.value = "";
    },
  }));

  // The body of each page: the open tab, and the state of the sidebar.
  Alpine.data("page", (firstTab = "") => ({
    activeTab: firstTab,
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    // Wrapped: this build exposes no window functions, and a page may have defined its own.
    moveRecords: (event) => window.moveRecords(event),
    sortRecords: (event) => window.sortRecords(event),
    init() {
      this.activeTab = (firstTab && getCurrentTab()) || firstTab;
      this.$watch("sidebarDesktopOpen", (isOpen) => localStorage.setItem("sidebarDesktopOpen", isOpen ? "1" : "0"));
    },
    formAction() {
      const here = window.location.pathname + window.location.search;
      return this.activeTab && this.activeTab !== "general" ? `${here}#${this.activeTab}` : here;
    },
  }));
});

// unfold's menus and switches are elements without keyboard access.
const MOUSE_ONLY = "[x-on\\:click]:not(a[href], button, input, select, summary, label)";

document.addEventListener("alpine:initialized", () => {
  for (const element of document.querySelectorAll(MOUSE_ONLY)) {
    element.tabIndex = 0;
    element.setAttribute("role", "button");
  }
});

document.addEventListener("keydown", (event) => {
  if ((event.key === "Enter" || event.key === " ") && event.target.matches(MOUSE_ONLY)) {
    event.preventDefault();
    event.target.click();
  }
});

// Alpine shows the page only after this event, and the browser has focused nothing that was hidden.
document.addEventListener("alpine:initialized", () => setTimeout(() => document.querySelector("[autofocus]")?.focus()));
