// Draws the figures of the page. A browser keeps few WebGL scenes alive, so that surfaces are live
// only near the window; elsewhere, and in print, a still picture stands for them.
(() => {
  const config = {
    displaylogo: false, responsive: true, scrollZoom: false,
    showSendToCloud: false, plotlyServerURL: "",  // plotly.js 4 offers to upload; nothing leaves
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetCameraLastSave3d"],
  };
  const panels = [...document.querySelectorAll(".panel")];
  const specs = new Map(panels.map((panel) =>
    [panel, JSON.parse(panel.querySelector("script").textContent)]));
  const solid = (panel) => panel.classList.contains("solid");
  const live = (panel) => panel.querySelector(".live");
  const seen = new Set();
  let turning = false;

  const webgl = (() => {
    const context = document.createElement("canvas").getContext("webgl");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  })();

  // Without WebGL a surface is shown as what its last button shows: the contour.
  function flattened(spec) {
    const button = spec.layout.updatemenus?.[0]?.buttons.at(-1);
    if (webgl || !button?.args[0].visible) return spec;
    spec.data = spec.data.filter((_, place) => button.args[0].visible[place]);
    spec.data.forEach((trace) => { trace.visible = true; });
    Object.assign(spec.layout, button.args[1]);
    delete spec.layout.updatemenus;
    delete spec.layout.scene;
    return spec;
  }

  // A narrow panel cuts off the names of axes unless the eye steps back and the scale of colors
  // lies below the scene; a wide one has room for it beside.
  const narrow = (width) => width <= 480;
  const distance = (width) => (narrow(width) ? 1.15 : 0.95);

  function from_afar(camera, factor) {
    const eye = Object.fromEntries(Object.entries(camera.eye).map(([axis, at]) => [axis, at * factor]));
    return { ...structuredClone(camera), eye };
  }

  function laid_out(panel, width) {
    const { data, layout } = structuredClone(specs.get(panel));
    if (!solid(panel)) return { data, layout };
    if (layout.scene) layout.scene.camera = from_afar(layout.scene.camera, distance(width));
    if (narrow(width)) lie_down(data, layout);
    return { data, layout };
  }

  function lie_down(data, layout) {
    const below = { orientation: "h", x: 0.5, xanchor: "center", y: 0, yanchor: "bottom", len: 0.9 };
    for (const trace of data.filter(({ colorbar }) => colorbar)) {
      trace.colorbar = { ...trace.colorbar, ...below, title: { ...trace.colorbar.title, side: "top" } };
    }
    if (layout.scene) layout.scene.domain = { x: [0, 1], y: [0.2, 1] };
    const flat = [layout, ...(layout.updatemenus?.[0]?.buttons ?? []).map(({ args }) => args[1])];
    for (const change of flat) {
      if (change.yaxis) change.yaxis.domain = [0.42, 1]; // its own axis stands above the colors
    }
  }

  async function draw(panel) {
    const place = live(panel);
    if (place.data) return;
    panel.classList.remove("away");
    const { data, layout } = laid_out(panel, panel.clientWidth);
    panel.dataset.narrow = narrow(panel.clientWidth);
    await Plotly.newPlot(place, data, layout, config);
    if (!solid(panel)) return;
    place.on("plotly_relayouting", (change) => follow(panel, change["scene.camera"]));
    place.on("plotly_relayout", (change) => follow(panel, change["scene.camera"]));
  }

  // Surfaces of one group are looked at from one side.
  async function follow(panel, camera) {
    if (!camera || turning) return;
    turning = true;
    try {
      for (const other of panel.closest(".panels").querySelectorAll(".panel.solid")) {
        specs.get(other).layout.scene.camera = from_afar(camera, 1 / distance(panel.clientWidth));
        if (other !== panel && live(other).data) {
          await Plotly.relayout(live(other), { "scene.camera": structuredClone(camera) });
        }
      }
    } finally {
      turning = false;
    }
  }

  function put_away(panel) {
    if (!live(panel).data || !panel.querySelector(".still").src) return;
    Plotly.purge(live(panel));
    panel.classList.add("away");
  }

  // A window that was turned or resized may have made room, or taken it.
  async function resized() {
    for (const panel of panels.filter((panel) => solid(panel) && live(panel).data)) {
      if (panel.dataset.narrow === String(narrow(panel.clientWidth))) continue;
      Plotly.purge(live(panel));
      await draw(panel);
    }
  }

  // The picture for print: without buttons, which paper does not have.
  async function still(panel) {
    const width = Math.min(440, Math.max(320, panel.clientWidth));
    const { data, layout } = laid_out(panel, width);
    if (layout.updatemenus) layout.margin.t = 32;
    delete layout.updatemenus;
    const size = { format: solid(panel) ? "png" : "svg", width, height: 400, scale: 2 };
    panel.querySelector(".still").src = await Plotly.toImage({ data, layout }, size);
  }

  async function ready(panel) {
    try {
      if (!solid(panel) || seen.has(panel)) await draw(panel);
      else panel.classList.add("away");
      await still(panel);
      panel.dataset.drawn = "true";
      if (seen.has(panel)) await draw(panel); // it may have come into the window meanwhile
    } catch (error) {
      panel.dataset.drawn = "false";
      const told = document.createElement("p");
      told.className = "failed";
      told.textContent = `This figure could not be drawn: ${error.message ?? error}`;
      live(panel).replaceChildren(told);
    }
  }

  async function all() {
    const order = [...panels.filter((panel) => seen.has(panel)), ...panels];
    for (const panel of new Set(order)) {
      await ready(panel);
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.ready = "true";
  }

  panels.forEach((panel) => flattened(specs.get(panel)));
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target); else seen.delete(target);
      if (!target.dataset.drawn || !solid(target)) continue;
      if (isIntersecting) draw(target); else put_away(target);
    }
  }, { rootMargin: "300px 0px" });
  panels.forEach((panel) => watch.observe(panel));
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(resized, 200);
  });
  requestAnimationFrame(() => setTimeout(all));
})();
