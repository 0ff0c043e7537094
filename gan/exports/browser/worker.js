// Answers { id, network, inputs } with { id, output }, so that the page stays responsive.
const networks = {};
self.onmessage = ({ data }) => {
  if (data.networks) {
    for (const [name, network] of Object.entries(data.networks)) networks[name] = new Network(network);
    return;
  }
  self.postMessage({ id: data.id, output: networks[data.network].run(...data.inputs) });
};
