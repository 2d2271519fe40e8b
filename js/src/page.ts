// Starts an exported page: unpacks its data and mounts the view that notebooks have.
import { EmbeddedModel, EmbeddedState, unpack } from "./host.ts";
import { View } from "./view.ts";

async function start(): Promise<void> {
  const place = document.getElementById("ecg-view")!;
  try {
    const data = await unpack(document.getElementById("ecg-data")!.textContent ?? "");
    const view = new View(new EmbeddedState(new EmbeddedModel(data).model));
    place.replaceChildren(view.element);
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    console.error(error);
    place.textContent = `This page cannot be shown: ${error instanceof Error ? error.message : String(error)}`;
  }
}

void start();
