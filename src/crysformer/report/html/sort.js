"use strict";
(function () {
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = table.querySelectorAll("th");
    heads.forEach(function (head, column) {
      head.querySelector("button").addEventListener("click", function () {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = Array.from(table.tBodies[0].rows);
        rows.sort(function (one, other) {
          const a = one.cells[column].textContent, b = other.cells[column].textContent;
          const order = a !== "" && b !== "" && !isNaN(a) && !isNaN(b)
            ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
          return down ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
