// Finds tests. The page is whole without it: the field is shown only where this runs.
(() => {
  "use strict";
  const box = document.getElementById("filter");
  if (!box) return;
  const find = box.querySelector("input");
  const kind = box.querySelector("select");
  const told = box.querySelector("output");
  const suites = Array.from(document.querySelectorAll("#tests details"), (part) => ({
    part,
    open: part.open,
    rows: Array.from(part.querySelectorAll("li"), (row) => ({
      row,
      text: row.textContent.toLowerCase(),
      kind: row.className,
    })),
  }));
  const all = suites.reduce((sum, suite) => sum + suite.rows.length, 0);
  let searching = false;

  const search = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = words.length > 0 || kind.value !== "";
    let shown = 0;
    for (const suite of suites) {
      if (wanted && !searching) suite.open = suite.part.open;
      let here = 0;
      for (const each of suite.rows) {
        const fits = (kind.value === "" || each.kind === kind.value) &&
          words.every((word) => each.text.includes(word));
        each.row.hidden = !fits;
        if (fits) here += 1;
      }
      suite.part.hidden = wanted && here === 0;
      if (wanted) suite.part.open = here > 0;
      else if (searching) suite.part.open = suite.open;
      shown += here;
    }
    searching = wanted;
    told.textContent = wanted ? `${shown} of ${all} tests` : `${all} tests`;
  };

  find.addEventListener("input", search);
  kind.addEventListener("change", search);
  box.hidden = false;
  search();
})();
