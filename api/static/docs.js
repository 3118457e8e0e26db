// Draws the routes of /openapi.json; every text goes in as text, never as HTML.
"use strict";

const make = (tag, text, className) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
};

const shown = (schema) => {
  const any = (schema.anyOf || [schema]).filter((s) => s.type !== "null");
  const limits = any.map((s) => {
    const from = s.minimum !== undefined ? ` ${s.minimum} to ${s.maximum}` : "";
    return (s.enum ? s.enum.join(" | ") : s.contentMediaType || s.format || s.type || "") + from;
  });
  return limits.join(" or ") + (schema.default !== undefined ? `, default ${schema.default}` : "");
};

const fields = (api, operation) => {
  const body = Object.values(operation.requestBody?.content || {})[0]?.schema;
  const schema = body?.$ref ? api.components.schemas[body.$ref.split("/").pop()] : body;
  const form = Object.entries(schema?.properties || {}).map(([name, s]) => [name, shown(s), s.description || "part of the form"]);
  const query = (operation.parameters || []).map((p) => [p.name, shown(p.schema), p.description || `in the ${p.in}`]);
  return [...query, ...form];
};

const example = (verb, path, operation) => {
  const form = operation.requestBody ? " -F file=@picture.jpg" : "";
  return `curl${form} '${location.origin}${path}${form ? "?graph=saree" : ""}'`;
};

const draw = (api) => {
  const main = document.getElementById("routes");
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const [verb, operation] of Object.entries(verbs)) {
      const box = make("section", undefined, "route");
      const title = make("h2");
      title.append(make("span", verb.toUpperCase(), "verb"), path);
      box.append(title, make("div", (operation.description || operation.summary).replaceAll("`", "")));
      const table = make("table");
      for (const row of fields(api, operation)) {
        const line = make("tr");
        line.append(...row.map((cell) => make("td", cell)));
        table.append(line);
      }
      box.append(table, make("pre", example(verb, path, operation)));
      main.append(box);
    }
  }
};

fetch("/openapi.json").then((answer) => answer.json()).then(draw);
