// What unfold's templates ask of Alpine, for the build that evaluates expressions without 'unsafe-eval': it takes no
// statements, and knows only what is registered here. And the keyboard, for what unfold lets a mouse alone press.
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

  // The body of each page: which tab is open, and whether the sidebar is.
  Alpine.data("page", (firstTab = "") => ({
    activeTab: firstTab,
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    // Wrapped: the build hands out no function of the window, and a page may have put its own there.
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

// unfold makes menus and switches of elements that no key reaches.
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
