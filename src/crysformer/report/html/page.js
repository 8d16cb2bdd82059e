"use strict";
(function () {
  const content = JSON.parse(document.getElementById("content").textContent);
  const hud = document.getElementById("hud");
  const say = function (text) { hud.textContent = text; };

  function bytes(base64) {
    const text = atob(base64);
    const array = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
    return array.buffer;
  }

  let viewer;
  try {
    viewer = new UM.Viewer({
      viewer: "viewer", hud: null, help: null, color_scheme: "coot light", map_radius: 12,
      max_map_radius: 40, hydrogens: true, focusable: true, bond_line: 7,
    });
  } catch (error) {
    say("This browser shows no 3D graphics: " + error.message);
    return;
  }
  if (!viewer.renderer) {
    say("This browser shows no 3D graphics (WebGL).");
    return;
  }
  window.reportViewer = viewer;
  viewer.hud = function (text, type) { if (type !== "HTML") say(text || ""); };

  // The page scrolls over the view until the view has been clicked.
  const canvas = viewer.renderer.domElement;
  document.getElementById("viewer").addEventListener("wheel", function (event) {
    if (document.activeElement !== canvas) event.stopImmediatePropagation();
  }, true);
  canvas.addEventListener("mousedown", function () { canvas.focus(); });

  if (content.model) viewer.load_pdb_from_text(content.model);
  for (const map of content.maps) {
    viewer.load_map_from_buffer(bytes(map.data), { format: "ccp4", diff_map: map.difference });
    viewer.map_bags[viewer.map_bags.length - 1].isolevel = map.level;
  }

  function levels() {
    return content.maps.map(function (map, i) {
      return map.name + " at " + viewer.map_bags[i].isolevel.toFixed(1) + " rms";
    }).join(", ");
  }

  // Density farther than this from the model is left out, unless neighbours are shown, A.
  const REACH = 1.9;
  let neighbours = !content.model;
  const boxes = new Map();  // atoms by the box of edge REACH that they are in

  function key(x, y, z) { return x + "," + y + "," + z; }
  function box(xyz) { return xyz.map(function (x) { return Math.floor(x / REACH); }); }

  function near(point) {
    const at = box(point);
    for (let i = -1; i <= 1; i++) {
      for (let j = -1; j <= 1; j++) {
        for (let k = -1; k <= 1; k++) {
          for (const xyz of boxes.get(key(at[0] + i, at[1] + j, at[2] + k)) || []) {
            if (Math.hypot(xyz[0] - point[0], xyz[1] - point[1], xyz[2] - point[2]) <= REACH) {
              return true;
            }
          }
        }
      }
    }
    return false;
  }

  if (content.model) {
    for (const atom of viewer.model_bags[0].model.atoms) {
      const name = key.apply(null, box(atom.xyz));
      if (!boxes.has(name)) boxes.set(name, []);
      boxes.get(name).push(atom.xyz);
    }
  }
  for (const bag of viewer.map_bags) {
    const block = bag.map.block, set = block.set;
    block.set = function (points, values, size) {
      const kept = neighbours ? values : values.map(function (value, n) {
        return near(points[n]) ? value : 0;
      });
      set.call(block, points, kept, size);
    };
  }

  if (!content.model) {
    document.getElementById("whole").textContent = "whole cell";
    document.getElementById("colours").remove();
  }
  if (!content.maps.some(function (map) { return map.difference; })) {
    document.getElementById("difference").remove();
  }

  function whole() {
    const bag = viewer.model_bags[0];
    const element = document.getElementById("viewer");
    let size = 25, centre = null;
    if (bag) {
      centre = bag.model.get_center();
      const far = bag.model.atoms.map(function (atom) {
        return Math.hypot(atom.xyz[0] - centre[0], atom.xyz[1] - centre[1], atom.xyz[2] - centre[2]);
      });
      size = 2 * Math.max.apply(null, far) + 5;
      viewer.selected.bag = bag;
    }
    viewer.config.map_radius = Math.min(Math.max(size / 2 + 2, 8), 30);
    if (centre && content.view) {
      const vector = function (xyz) { return viewer.target.clone().set(xyz[0], xyz[1], xyz[2]); };
      const camera = centre.map(function (x, i) { return x + 100 * content.view.eye[i]; });
      viewer.controls.go_to(vector(centre), vector(camera), vector(content.view.up), 1);
    } else {
      viewer.recenter(null, null, 1);  // the centre of the cell
    }
    viewer.controls.slab_width = [size / 2 + 3, size / 2 + 3, 100];
    viewer.camera.zoom = 2 * Math.min(element.clientWidth, 1.6 * element.clientHeight) / size;
    viewer.update_camera();
    viewer.redraw_maps(true);
    viewer.request_render();
    say(levels());
  }

  function contour(step) {
    for (const bag of viewer.map_bags) {
      if (!bag.visible) continue;
      bag.isolevel = Math.max(0.2, bag.isolevel + step * (bag.is_diff_map ? 2 : 1));
      viewer.redraw_map(bag);
    }
    viewer.request_render();
    say(levels());
  }

  function zoom(factor) {
    viewer.camera.zoom *= factor;
    viewer.update_camera();
    viewer.request_render();
  }

  function onClick(id, action) { document.getElementById(id).addEventListener("click", action); }
  onClick("whole", whole);
  onClick("less", function () { contour(-0.2); });
  onClick("more", function () { contour(0.2); });
  onClick("closer", function () { zoom(1.25); });
  onClick("farther", function () { zoom(0.8); });
  onClick("picture", function () {
    viewer.render();
    const link = document.createElement("a");
    link.href = viewer.renderer.domElement.toDataURL("image/png");
    link.download = document.title.split(":")[0] + ".png";
    link.click();
  });

  const toggles = document.getElementById("toggles");
  function toggle(name, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", function () {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      action(on);
      viewer.request_render();
    });
    toggles.append(button, " ");
    return button;
  }
  content.maps.forEach(function (map, i) {
    toggle(map.name, function (on) {
      const bag = viewer.map_bags[i];
      bag.visible = on;
      viewer.redraw_map(bag);
    });
  });
  if (content.model) {
    toggle("model", function (on) { viewer.toggle_model_visibility(viewer.model_bags[0], on); });
  }

  if (content.model) {
    toggle("density of neighbours", function (on) {
      neighbours = on;
      viewer.redraw_maps(true);
    }).setAttribute("aria-pressed", "false");
  }

  for (const button of document.querySelectorAll("button[data-centre]")) {
    button.addEventListener("click", function () {
      viewer.config.map_radius = 8;
      viewer.recenter(button.dataset.centre.split(",").map(Number), null, 1);
      viewer.camera.zoom = 2 * document.getElementById("viewer").clientHeight / 18;
      viewer.update_camera();
      viewer.redraw_maps(true);
      viewer.request_render();
      say(button.textContent + ", " + levels());
      document.getElementById("view").scrollIntoView();
    });
  }

  // The frame of a notebook may have no size yet when its page is read.
  const frame = document.getElementById("viewer");
  let fitted = false;
  function fit() {
    viewer.resize();
    if (!fitted && frame.clientWidth > 0 && frame.clientHeight > 0) {
      fitted = true;
      whole();
    }
    viewer.request_render();
  }
  new ResizeObserver(fit).observe(frame);
  fit();
})();
