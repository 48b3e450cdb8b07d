
// Titles of tables sort their rows: by numbers where there are some, empty cells last.
for (const table of document.querySelectorAll(".metrics")) {
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => title.firstElementChild.addEventListener("click", () => {
    const descends = title.ariaSort === "ascending";
    titles.forEach(other => other.removeAttribute("aria-sort"));
    title.ariaSort = descends ? "descending" : "ascending";
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const compare = (a, b) => a.localeCompare(b, undefined, {numeric: true});
    const body = table.tBodies[0], sign = descends ? -1 : 1;
    body.append(...[...body.rows].sort((first, second) => {
      const [a, b] = [value(first), value(second)];
      if (!a || !b) return !a - !b;
      return sign * (isNaN(a) || isNaN(b) ? compare(a, b) : a - b);
    }));
  }));
}
