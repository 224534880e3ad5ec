// Reads the expression of each picture: node read.cjs FOLDER > result.json
// One JSON object: picture -> {aligned: {neutral, happy, sad, angry, fearful, disgusted, surprised}, plain: {...}}, or
// null where no face is seen. `aligned`: the face cut out along its landmarks, `plain`: the detector's box.
const fs = require('fs');
const path = require('path');
const { PNG } = require('pngjs');
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const faceapi = require('@vladmandic/face-api/dist/face-api.node-wasm.js');

const packageFolder = (name) => path.dirname(require.resolve(`${name}/package.json`));
const rounded = (scores) => Object.fromEntries(Object.entries(scores).map(([k, v]) => [k, +v.toFixed(4)]));

function tensorOf(file) {
  const { width, height, data } = PNG.sync.read(fs.readFileSync(file));
  const rgb = new Int32Array(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[4 * i + c];
  return tf.tensor3d(rgb, [height, width, 3], 'int32');
}

async function main(folder) {
  wasm.setWasmPaths(path.join(packageFolder('@tensorflow/tfjs-backend-wasm'), 'dist') + path.sep, false);
  await tf.setBackend('wasm');
  await tf.ready();
  const models = path.join(packageFolder('@vladmandic/face-api'), 'model');
  await faceapi.nets.ssdMobilenetv1.loadFromDisk(models);
  await faceapi.nets.faceLandmark68Net.loadFromDisk(models);
  await faceapi.nets.faceExpressionNet.loadFromDisk(models);
  const options = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.2, maxResults: 1 });
  const out = {};
  for (const name of fs.readdirSync(folder).filter((n) => n.endsWith('.png')).sort()) {
    const picture = tensorOf(path.join(folder, name));
    const aligned = await faceapi.detectSingleFace(picture, options).withFaceLandmarks().withFaceExpressions();
    out[name] = null;
    if (aligned) {
      const cut = await faceapi.extractFaceTensors(picture, [aligned.detection.box]);
      const plain = await faceapi.nets.faceExpressionNet.predictExpressions(cut[0]);
      out[name] = { aligned: rounded(aligned.expressions), plain: rounded(plain) };
      tf.dispose(cut);
    }
    tf.dispose(picture);
  }
  process.stdout.write(JSON.stringify(out));
}

main(process.argv[2]).catch((e) => { console.error(e); process.exit(1); });
